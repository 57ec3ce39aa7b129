/** Every word the page says, in one place; another language is another object of this shape. */

const plural = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;

const english = {
  name: 'llmproxy',
  nav: {
    newChat: 'New chat', threads: 'Chats', activity: 'Activity', settings: 'Settings', shortcuts: 'Keyboard shortcuts',
    open: 'Open the list of chats', close: 'Close the list of chats', skip: 'Skip to the conversation', chat: 'Conversation',
  },
  groups: { pinned: 'Pinned', today: 'Today', yesterday: 'Yesterday', week: 'Last 7 days', month: 'Last 30 days', older: 'Older' },
  threads: {
    search: 'Search chats', noHits: 'Nothing found. Try other words, or fewer.', untitled: 'New chat', running: 'Answering',
    empty: 'Your chats will be listed here.', more: 'Show older chats', actions: 'Actions for this chat',
    rename: 'Rename', pin: 'Pin', unpin: 'Unpin', remove: 'Delete', exportMarkdown: 'Export as Markdown', exportJson: 'Export as JSON',
    deleted: (title: string) => `“${title}” was deleted.`, undo: 'Undo', renamePrompt: 'Name of the chat',
    hits: (n: number) => plural(n, 'result', 'results'),
  },
  actions: {
    copy: 'Copy', copied: 'Copied', edit: 'Edit', regenerate: 'Answer again', retry: 'Retry', continue: 'Continue', stop: 'Stop',
    send: 'Send', cancel: 'Cancel', save: 'Save', close: 'Close', keep: 'Keep this one', more: 'More', with: 'Answer with another model',
    dismiss: 'Dismiss', reload: 'Try again',
  },
  branches: { previous: 'Previous version', next: 'Next version', of: (at: number, all: number) => `${at} of ${all}` },
  empty: {
    title: 'What shall we think about?',
    lead: 'Everything you ask stays on your gateway. Stop really stops the model, and no answer is lost when you close this page.',
    demo: 'No provider is set up yet, but you can try the page with the demo model.',
    tryDemo: 'Try the demo model',
    setUp: 'To use real models, tell the gateway a key and start it again:',
    examples: [
      ['Explain', 'how a stream of tokens travels from a model to this page'],
      ['Write', 'a short letter that asks for a deadline to be moved'],
      ['Compare', 'three ways to store time series, in a table'],
      ['Review', 'the code I am about to paste'],
    ] as [string, string][],
  },
  composer: {
    label: 'Your message', placeholder: 'Ask anything', hint: 'Enter to send, Shift+Enter for a new line', attach: 'Attach files',
    compare: 'Ask a second model too', drop: 'Drop files to attach them', remove: (name: string) => `Remove ${name}`,
    second: 'Second model', settings: 'Settings of this chat', offline: 'No network. You can read your open chat; asking has to wait.',
  },
  attachments: {
    cannot: (model: string, kinds: string) => `${model} cannot take ${kinds}.`, switchTo: (model: string) => `Use ${model}`,
    kinds: { image: 'images', audio: 'audio', file: 'files such as PDF', text: 'text' },
    unreadable: (name: string) => `${name} is neither an image, text, PDF nor audio (WAV or MP3), so no model could read it.`,
    tooBig: (name: string, limit: string) => `${name} is larger than ${limit}. Attach a smaller file.`,
    image: 'Attached image', audio: 'Attached audio', file: 'Attached file',
  },
  models: {
    choose: 'Model', search: 'Search models', none: 'No model has that name.', aliases: 'Aliases', modes: 'Modes', loading: 'Loading models',
    vision: 'Sees images', audio: 'Hears audio', files: 'Reads files', tools: 'Calls tools', reasoning: 'Reasons',
    context: (n: string) => `${n} context`, price: (input: string, output: string) => `${input} in, ${output} out per million tokens`,
    free: 'free', stands: (targets: string) => `stands for ${targets}`, failed: 'The list of models could not be loaded.',
  },
  answer: {
    you: 'You', model: 'Answer', code: 'code', table: 'Table', sources: 'Sources', tool: 'Tool call',
    remoteImage: (alt: string, url: string) => `Image not loaded${alt ? ` (${alt})` : ''}: ${url || 'no address'}`,
    thinking: 'Reasoning', thought: (time: string) => `Reasoned for ${time}`,
    stopped: 'Stopped.', closed: (time: string) => `The connection to the model was closed in ${time}.`,
    unconfirmed: 'The gateway could not be reached to confirm the stop.',
    lost: 'The gateway ended while it was answering. This is what had been kept.',
    length: 'The answer reached its length limit.', filtered: 'The provider withheld the rest of this answer.',
    jump: 'Jump to the latest words', compare: 'Two answers to one question', finished: 'The answer is complete.', starts: 'Answering.',
  },
  phase: {
    asking: 'Asking the gateway', resuming: 'Picking up where it was', streaming: 'Waiting for the first words',
    queued: (position: number) => `Queued at ${position}`,
    connecting: (provider: string, model: string) => `Connecting to ${provider}${model ? ` · ${model}` : ''}`,
    retrying: (provider: string, attempt: number, code: string | null) => `Retrying with ${provider} (attempt ${attempt}${code ? `, after ${code}` : ''})`,
    cut: 'Connection lost. The answer goes on; reconnecting',
  },
  truth: {
    label: 'Facts about this answer', first: 'first token', speed: 'tokens/s', tokensIn: 'in', tokensOut: 'out', reasoning: 'reasoning', cached: 'cached',
    attempts: (n: number) => plural(n, 'attempt', 'attempts'), failover: (names: string) => `after ${names} failed`,
    copyId: 'Copy the request id', idCopied: 'Request id copied', cost: 'cost', via: 'via',
  },
  problems: {
    title: 'This did not work',
    next: {
      model_not_found: 'Choose another model; the list shows what this gateway serves.',
      invalid_api_key: 'The key was refused. Enter another one, or set the provider’s key in the gateway’s environment.',
      rate_limit_exceeded: 'The provider asks for a pause. Retry in a moment, or choose another model.',
      context_length_exceeded: 'The chat is too long for this model. Start a new one, or choose a model with more context.',
      insufficient_quota: 'The provider’s account has no credit left. Top it up, or choose another model.',
      upstream_timeout: 'The provider was too slow. Retry, or choose another model.',
      upstream_unreachable: 'The provider cannot be reached. Check that it runs and that its address in the config is right.',
      thread_not_found: 'It may have been deleted. Your other chats are in the list.',
      unreachable: 'The gateway does not answer. Check that it runs, then try again; what you wrote is kept.',
      other: 'Retry, or choose another model.',
    } as Record<string, string>,
    unreachable: 'The gateway cannot be reached.', unknown: 'Something went wrong.',
  },
  key: {
    title: 'This gateway needs a key', text: 'Ask whoever runs it, or look under [[server.keys]] in its config.', label: 'Key',
    remember: 'Keep it on this device', use: 'Use this key', wrong: 'The gateway refused this key.',
  },
  settings: {
    title: 'Settings', answers: 'Answers', look: 'Look', data: 'Data',
    stream: 'Show answers while they are written', streamHelp: 'Off: an answer appears when it is complete.',
    preset: 'Preset', noPreset: 'None', savePreset: 'Save as preset', deletePreset: 'Delete preset', presetName: 'Name of the preset',
    system: 'System prompt', systemHelp: 'Sent before every chat.', temperature: 'Temperature', maxTokens: 'Longest answer, in tokens',
    effort: 'Reasoning effort', byModel: 'Model’s default', efforts: { minimal: 'Minimal', low: 'Low', medium: 'Medium', high: 'High' } as Record<string, string>,
    theme: 'Theme', themes: { system: 'System', light: 'Light', dark: 'Dark' }, size: 'Text size',
    sizes: { small: 'Small', medium: 'Medium', large: 'Large' }, language: 'Language', languages: { en: 'English' },
    where: (dir: string) => `Chats are stored by the gateway in ${dir}. These settings are stored in this browser.`,
    nowhere: 'Chats are stored by the gateway. These settings are stored in this browser.',
    exportAll: 'Export all chats', import: 'Import chats', imported: (n: number) => `${plural(n, 'chat was', 'chats were')} imported.`,
    deleteAll: 'Delete all chats', deleteSure: 'Delete all, for good', deleteWarn: 'This cannot be undone.', deletedAll: 'All chats were deleted.',
    forgetKey: 'Forget the key', keyForgotten: 'The key was forgotten.', version: (v: string) => `llmproxy ${v}`,
  },
  activity: {
    title: 'Activity', running: 'Running now', recent: 'Last requests', numbers: 'By model', plots: 'Over time', idle: 'Nothing runs at the moment.',
    none: 'No requests yet. They appear here as soon as somebody asks.', window: 'Period', windows: { hour: 'Hour', day: 'Day', week: 'Week' },
    ttft: 'Time to first token', speed: 'Tokens per second', errors: 'Requests and errors', tokens: 'Tokens', ms: 'ms', p50: 'P50', p95: 'P95',
    requests: 'Requests', failed: 'Errors', cancelled: 'Cancelled', tokensIn: 'In', tokensOut: 'Out', model: 'Model', provider: 'Provider', state: 'State',
    age: 'Age', started: 'Started', duration: 'Duration', stopped: 'Stopped', errorRate: 'Error rate', cancelTime: 'Stop took (P95)', latency: 'Whole answer (P50)',
    cost: 'Cost', states: { running: 'running', completed: 'completed', cancelled: 'stopped', failed: 'failed' } as Record<string, string>,
    phases: { queued: 'queued', connecting: 'connecting', waiting: 'waiting', streaming: 'streaming', backing_off: 'backing off', finishing: 'finishing' } as Record<string, string>,
  },
  shortcuts: {
    title: 'Keyboard shortcuts',
    names: { newChat: 'New chat', search: 'Search chats', focus: 'Write a message', stop: 'Stop the answer', copy: 'Copy the last answer',
      model: 'Switch the model', edit: 'Edit your last message (in an empty field)', settings: 'Settings', help: 'This list', send: 'Send', line: 'New line',
      sidebar: 'Show or hide the chats' } as Record<string, string>,
  },
};

export const strings = english;
