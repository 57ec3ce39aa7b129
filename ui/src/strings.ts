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
    tags: 'Tags', tagsPrompt: 'Tags, with commas between', filter: 'Show chats with a tag',
    rename: 'Rename', pin: 'Pin', unpin: 'Unpin', remove: 'Delete', exportMarkdown: 'Export as Markdown', exportJson: 'Export as JSON', exportHtml: 'Export as a web page',
    deleted: (title: string) => `“${title}” was deleted.`, undo: 'Undo', renamePrompt: 'Name of the chat',
    hits: (n: number) => plural(n, 'result', 'results'),
  },
  actions: {
    copyMarkdown: 'Copy as Markdown', copyRich: 'Copy with its form', copiedRich: 'Copied with its form',
    copy: 'Copy', copied: 'Copied', notCopied: 'Your browser does not allow copying here. Select the text and copy it.', edit: 'Edit', regenerate: 'Answer again', retry: 'Retry', continue: 'Continue', stop: 'Stop',
    send: 'Send', cancel: 'Cancel', save: 'Save', close: 'Close', keep: 'Keep this one', more: 'More', with: 'Answer with another model',
    dismiss: 'Dismiss', reload: 'Try again',
  },
  branches: { previous: 'Previous version', next: 'Next version', of: (at: number, all: number) => `${at} of ${all}` },
  empty: {
    title: 'What shall we think about?',
    lead: 'Everything you ask stays on your gateway. Stop really stops the model, and no answer is lost when you close this page.',
    demo: 'No provider is set up yet, but you can try the page with the demo model.',
    tryDemo: 'Try the demo model',
    setUp: 'To use real models, give the gateway a key',
    examples: [
      ['Explain', 'how a stream of tokens travels from a model to this page'],
      ['Write', 'a short letter that asks for a deadline to be moved'],
      ['Compare', 'three ways to store time series, in a table'],
      ['Review', 'the code I am about to paste'],
    ] as [string, string][],
  },
  composer: {
    label: 'Your message', placeholder: 'Ask anything', hint: 'Enter to send, Shift+Enter for a new line', hintCoarse: 'Send with the button', attach: 'Attach files',
    compare: 'Ask a second model too', drop: 'Drop files to attach them', remove: (name: string) => `Remove ${name}`,
    others: 'Models that are asked too', second: ['Second model', 'Third model', 'Fourth model'], more: 'One more model', less: (model: string) => `Do not ask ${model}`, settings: 'Settings of this chat', offline: 'The gateway cannot be reached. You can read your open chat; it is looked for until it answers.',
  },
  chatSettings: {
    system: 'System prompt', temperature: (value: number) => `Temperature ${value}`, tokens: (n: number) => `At most ${n} tokens`, effort: (name: string) => `Effort ${name.toLowerCase()}`,
  },
  prompts: {
    title: 'Prompts', none: 'No prompts yet. Make one in the settings.', manage: 'Make and change prompts', insert: 'Write it', choose: 'Prompt', fresh: 'A new one',
    help: 'Type / in an empty message to write one of these. The page asks for a value for each {{name}} in double braces.', name: 'Name of the prompt', text: 'Text of the prompt', save: 'Save prompt', remove: 'Delete prompt',
  },
  trash: {
    title: (n: number) => `Deleted chats (${n})`, help: 'A deleted chat can be brought back for 30 days. Then the gateway removes it for good.', restore: 'Bring back', purge: 'Remove for good',
  },
  notify: { done: 'The answer is complete.', failed: 'The answer has ended before it was complete.' },
  palette: {
    title: 'Commands', search: 'Search commands, chats, models and prompts', none: 'Nothing has that name.', commands: 'Commands', chats: 'Chats', models: 'Answer with', prompts: 'Prompts',
    activity: 'Activity', light: 'Light theme', dark: 'Dark theme', temporary: 'Temporary chat',
  },
  temporary: { make: 'Temporary chat', is: 'Temporary', help: 'A temporary chat is not listed. The gateway deletes it for good when you leave or reload it.' },
  meter: {
    label: 'Context and cost of this chat', of: (used: string, all: string, share: string) => `${used} of ${all} (${share})`, tokens: (n: string) => `${n} tokens`,
    plus: (n: number) => ` + ${n} without a price`, unpriced: 'no known price', unknown: 'not known', input: 'In', cached: 'Cached', output: 'Out', cost: 'Cost',
    full: 'The model’s context is nearly full. A new chat, or a model with more context, leaves room.', noContext: 'How much context this model has is not known.',
    branch: 'Of the shown branch.', partial: 'Older messages of it are not loaded yet.',
  },
  queue: {
    title: 'Waiting to be sent', add: 'Send when the answer is done', edit: 'Edit this message', remove: 'Remove this message', files: (n: number) => plural(n, 'file', 'files'),
    held: 'The answer before did not end by itself.', now: 'Send now',
  },
  attachments: {
    cannot: (model: string, kinds: string) => `${model} cannot take ${kinds}.`, switchTo: (model: string) => `Use ${model}`,
    kinds: { image: 'images', audio: 'audio', file: 'files such as PDF', text: 'text' },
    unreadable: (name: string) => `${name} is neither an image, text, PDF, Word document nor audio (WAV or MP3), so no model could read it.`,
    tooBig: (name: string, limit: string) => `${name} is larger than ${limit}. Attach a smaller file.`,
    asText: 'Send it as text', wordless: (name: string) => `${name} has no words in it that could be read; it may be a scan.`,
    unkept: 'Your browser keeps no attachments: a reload would lose them.', image: 'Attached image', audio: 'Attached audio', file: 'Attached file',
  },
  models: {
    favourites: 'Favourites', recent: 'Chosen last', love: (id: string) => `Add ${id} to the favourites`, unlove: (id: string) => `Remove ${id} from the favourites`,
    choose: 'Model', search: 'Search models', none: 'No model has that name.', aliases: 'Aliases', modes: 'Modes', loading: 'Loading models',
    vision: 'Sees images', audio: 'Hears audio', files: 'Reads files', tools: 'Calls tools', reasoning: 'Reasons',
    context: (n: string) => `${n} context`, price: (input: string, output: string) => `${input} in, ${output} out per million tokens`,
    free: 'free', stands: (targets: string) => `stands for ${targets}`, failed: 'The list of models could not be loaded.',
  },
  answer: {
    wrap: 'Wrap', fold: 'Fold', download: 'Download', csv: 'Download as CSV', preview: 'Preview', previewTitle: 'Preview without network',
    diagram: 'Diagram', diagramSource: 'Source', copySvg: 'Copy SVG', copyPng: 'Copy PNG',
    diagramFailed: (why: string) => `This diagram could not be drawn${why ? `: ${why}` : '.'}`,
    diagramUnloaded: 'what draws it could not be loaded.', diagramLate: 'drawing it took too long.',
    you: 'You', model: 'Answer', code: 'code', table: 'Table', sources: 'Sources', tool: 'Tool call',
    remoteImage: (alt: string, url: string) => `Image not loaded${alt ? ` (${alt})` : ''}: ${url || 'no address'}`,
    image: 'Generated image', saveImage: 'Save image', sound: 'Generated sound', omitted: (size: string) => `Something of ${size} was too large to keep.`,
    thinking: 'Reasoning', thought: (time: string) => `Reasoned for ${time}`,
    stopped: 'Stopped.', closed: (time: string) => `The connection to the model was closed in ${time}.`,
    unconfirmed: 'The gateway could not be reached to confirm the stop.',
    lost: 'The gateway ended while it was answering. This is what had been kept.',
    length: 'The answer reached its length limit.', filtered: 'The provider withheld the rest of this answer.',
    task: 'Task', note: (name: string) => `Footnote ${name}`,
    alerts: { note: 'Note', tip: 'Tip', important: 'Important', warning: 'Warning', caution: 'Caution' } as Record<string, string>,
    jump: 'Jump to the latest words', compare: 'Answers to one question', goesOn: 'The chat continues from this one', finished: 'The answer is complete.', starts: 'Answering.',
  },
  phase: {
    asking: 'Asking the gateway', resuming: 'Resuming the answer', streaming: 'Waiting for the first words',
    queued: (position: number) => `Queued at ${position}`,
    connecting: (provider: string, model: string) => `Connecting to ${provider}${model ? ` · ${model}` : ''}`,
    retrying: (provider: string, wait: number, code: string | null) => `Retrying with ${provider}${wait < 1 ? '' : ` in ${Math.round(wait)} s`}${code ? `, after ${code}` : ''}`,
    again: (provider: string, model: string, attempt: number) => `Retrying with ${provider}${model ? ` · ${model}` : ''} (attempt ${attempt})`,
    stored: 'The live stream is no longer kept. The answer goes on, and is shown as the gateway stores it',
    cut: 'Connection lost. The answer goes on; reconnecting',
  },
  truth: {
    label: 'Facts about this answer', first: 'first token', speed: 'tokens/s', tokensIn: 'in', tokensOut: 'out', reasoning: 'reasoning', cached: 'cached',
    attempts: (n: number) => plural(n, 'attempt', 'attempts'), failover: (codes: string) => `after ${codes}`,
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
      not_found: 'It may have been deleted. Your other chats are in the list.',
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
    notify: 'Say when an answer is done', notifyHelp: 'A notification of the browser, while you look at something else. It has the chat’s name, not its words.', notifyRefused: 'The browser does not allow notifications here.',
    stream: 'Show answers while they are written', streamHelp: 'Off: an answer appears when it is complete.',
    preset: 'Preset', noPreset: 'None', savePreset: 'Save as preset', deletePreset: 'Delete preset', presetName: 'Name of the preset',
    system: 'System prompt', systemHelp: 'Sent before every new chat.', systemHelpThis: 'Sent before this chat.',
    scope: 'These apply to', thisChat: 'This chat', newChats: 'New chats', temperature: 'Temperature', maxTokens: 'Longest answer, in tokens',
    effort: 'Reasoning effort', byModel: 'Model’s default', efforts: { minimal: 'Minimal', low: 'Low', medium: 'Medium', high: 'High' } as Record<string, string>,
    theme: 'Theme', themes: { system: 'System', light: 'Light', dark: 'Dark' }, size: 'Text size',
    sizes: { small: 'Small', medium: 'Medium', large: 'Large' }, language: 'Language', languages: { en: 'English', ar: 'العربية', ja: '日本語' }, languageHelp: 'The page is loaded again.',
    where: (dir: string) => `Chats are stored by the gateway in ${dir}. These settings are stored in this browser.`,
    nowhere: 'Chats are stored by the gateway. These settings are stored in this browser.',
    importHelp: 'Chats come in from exports of this gateway, ChatGPT, Claude, Open WebUI and llms.py, as JSON or in their ZIP.', unknownExport: 'This file is not a known export of chats.',
    exportAll: 'Export all chats', import: 'Import chats', imported: (n: number) => `${plural(n, 'chat was', 'chats were')} imported.`,
    leftOut: (kinds: string) => `Not in the export, or without a place here: ${kinds}.`,
    kinds: { image: 'images', audio: 'sounds', file: 'files', system: 'system messages', hidden: 'hidden messages', message: 'messages', chat: 'empty chats' },
    deleteAll: 'Delete all chats', deleteSure: 'Delete all, for good', deleteWarn: 'This cannot be undone.', deletedAll: 'All chats were deleted.',
    forgetKey: 'Forget the key', keyForgotten: 'The key was forgotten.', version: (v: string) => `llmproxy ${v}`,
  },
  activity: {
    title: 'Activity', running: 'Running now', recent: 'Last requests', numbers: 'By model', plots: 'Over time', idle: 'Nothing runs at the moment.',
    none: 'No requests yet. They appear here after the first request.', window: 'Period', windows: { hour: 'Hour', day: 'Day', week: 'Week' },
    ttft: 'Time to first token', speed: 'Tokens per second', errors: 'Requests and errors', tokens: 'Tokens', ms: 'ms', p50: 'P50', p95: 'P95',
    requests: 'Requests', failed: 'Errors', cancelled: 'Cancelled', tokensIn: 'In', tokensOut: 'Out', model: 'Model', provider: 'Provider', state: 'State',
    age: 'Age', started: 'Started', duration: 'Duration', stopped: 'Stopped', errorRate: 'Error rate', cancelTime: 'Stop took (P95)', latency: 'Whole answer (P50)',
    cost: 'Cost', states: { running: 'running', completed: 'completed', cancelled: 'stopped', failed: 'failed' } as Record<string, string>,
    phases: { queued: 'queued', connecting: 'connecting', waiting: 'waiting', streaming: 'streaming', backing_off: 'backing off', finishing: 'finishing' } as Record<string, string>,
  },
  flight: {
    title: 'What this request did, and when', open: 'Timing of this request', gone: 'The gateway no longer remembers the timing of this request.',
    kinds: { connecting: 'connecting', sent: 'waiting', first: 'first token', answer: 'answer', gap: 'silence', wait: 'waiting here' } as Record<string, string>,
    why: { first: 'First attempt', retry: 'Retry', failover: 'Failover', hedge: 'Hedge', part: 'Part' } as Record<string, string>,
    waits: { queue: 'Queue', backoff: 'Pause', budget: 'Budget' } as Record<string, string>,
    states: { stopped: 'stopped', lost_race: 'overtaken', open: 'running', opening: 'running' } as Record<string, string>,
    after: (code: string) => `after ${code}`, sent: (bytes: string) => `${bytes} sent`, received: (bytes: string) => `${bytes} received`, reused: 'connection reused',
    gaps: (n: number, time: string) => `${plural(n, 'silence', 'silences')} of ${time} together`, leftOut: (n: number) => `${plural(n, 'attempt', 'attempts')} in between ${n === 1 ? 'is' : 'are'} not kept.`,
    whole: (time: string) => `${time} in all.`, client: (input: string, output: string) => `${input} came from the client, ${output} went to it.`,
    stopped: (time: string) => `Stopped after ${time}.`, closed: (time: string) => `The provider’s connection was closed ${time} later.`,
    nothingSpent: 'No provider had been asked, so nothing was spent.', noLimit: 'What that saved is not known, as the request set no limit.',
    saved: (tokens: string, cost: string | null, estimated: boolean) => `Up to ${estimated ? 'about ' : ''}${tokens} tokens were not written${cost ? `, worth ${cost} at most` : ''}.`,
    copyAs: 'Copy as', copyAsOne: (name: string) => `Copy as ${name}`, copied: (name: string) => `Copied as ${name}`,
  },
  accounts: {
    title: 'Budgets and usage', usage: 'Usage', noBudget: 'No budget limits what you may spend here.', by: 'Usage by', ways: { key: 'Key', model: 'Model', day: 'Day' },
    unpriced: 'Without a price', perDay: 'Spent per day', dearest: 'The dearest',
    budget: (key: string, account: string, window: string) => account === `key:${key}` ? `${key}, ${window}` : `${key} (${account}), ${window}`,
    left: (left: string, limit: string) => `${left} left of ${limit}`,
  },
  keys: {
    title: 'Keys', groups: 'Groups', newKey: 'New key', newGroup: 'New group', none: 'There is no key.',
    open: 'No key is needed yet. After the first one is made, every request needs a key.',
    first: 'This is the first key. From now on every request needs a key, yours too. This page will use this one.',
    name: 'Name', budget: 'Budget, in dollars', budgetHelp: 'Such as 20/month, or 2/day, 50/total. Empty for none.', any: 'any',
    counts: { rpm: 'Requests a minute', tpm: 'Tokens a minute', max_parallel: 'Requests at once' },
    models: 'Models', modelsHelp: 'Names or patterns, separated by commas, such as fast, openai/*.', group: 'Group', noGroup: 'None',
    expires: 'Expires', admin: 'administrator', adminHelp: 'Administrator: sees and stops everybody’s requests, and manages keys',
    create: 'Create', change: 'Change limits', changeOf: (name: string) => `Limits of ${name}`, rotate: 'New secret', revoke: 'Revoke', remove: 'Delete',
    actionsFor: (name: string) => `Actions for ${name}`,
    rotateOf: (name: string) => `A new secret for ${name}`, rotateWarn: 'The old secret is accepted for one more day.',
    revokeOf: (name: string) => `Revoke ${name}?`, revokeWarn: 'Its running requests are stopped. It is never accepted again, and its name cannot be used again.',
    removeOf: (name: string) => `Delete the group ${name}?`, removeWarn: 'It must have no keys. What it has spent stays counted under its name.',
    secret: 'Secret', secretOf: (name: string) => `The secret of ${name}`, once: 'Copy it now: it is shown this once.',
    revoked: 'revoked', inConfig: 'in the configuration', revokedOnes: (n: number) => `Show ${plural(n, 'revoked key', 'revoked keys')}`,
    inGroup: (name: string) => `group ${name}`, members: (n: number) => plural(n, 'key', 'keys'), noLimits: 'No limits', spent: 'Spent',
    rpm: (n: string) => `${n} requests a minute`, tpm: (n: string) => `${n} tokens a minute`, parallel: (n: string) => `${n} at once`,
    until: (day: string) => `until ${day}`, requests: (n: number) => plural(n, 'request', 'requests'),
    budgetOf: (spent: string, limit: string, window: string) => `${spent} of ${limit}, ${window}`,
  },
  shortcuts: {
    title: 'Keyboard shortcuts',
    names: { newChat: 'New chat', search: 'Search chats', focus: 'Write a message', stop: 'Stop the answer', copy: 'Copy the last answer',
      model: 'Switch the model', edit: 'Edit your last message (in an empty field)', settings: 'Settings', help: 'This list', send: 'Send', line: 'New line',
      sidebar: 'Show or hide the chats', palette: 'Commands' } as Record<string, string>,
  },
};

export type Strings = typeof english;

type Partly<T> = T extends (...given: never[]) => unknown ? T : T extends readonly unknown[] ? T : T extends object ? { [name in keyof T]?: Partly<T[name]> } : T extends string ? string : T;

/** Another language: any part of the words. What it leaves out is said in English. */
export type Translation = Partly<Strings>;

export const strings: Strings = english;

/** Says everything in another language from now on. Whoever has taken a group of words has the new ones, too. */
export function translate(into: object, from: object = {}): void {
  for (const [name, value] of Object.entries(from)) {
    const known = (into as Record<string, unknown>)[name];
    if (typeof known === 'object' && known !== null && !Array.isArray(known)) translate(known, value as object);
    else (into as Record<string, unknown>)[name] = value;
  }
}
