/** The shapes of the gateway's HTTP interface, as docs/api.md names them. */

export type Part =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string } }
  | { type: 'input_audio'; input_audio: { data: string; format: string } }
  | { type: 'file'; file: { filename: string; file_data: string } };

export type Content = string | Part[];

export interface Problem {
  message: string;
  type?: string | null;
  param?: string | null;
  code?: string | null;
}

export interface Usage {
  prompt_tokens?: number | null;
  completion_tokens?: number | null;
  completion_tokens_details?: { reasoning_tokens?: number | null } | null;
  prompt_tokens_details?: { cached_tokens?: number | null } | null;
}

export interface ToolCall {
  index: number;
  id: string | null;
  name: string | null;
  arguments: string;
}

export interface Citation {
  index: number;
  url: string;
  title: string | null;
}

/** One piece of an answer, in its place. Sound is base64, in as many pieces as it came; `omitted` are bytes that were too many to keep. */
export type AnswerPart =
  | { type: 'text' | 'reasoning'; text: string }
  | { type: 'tool_call'; index: number }
  | { type: 'image'; url?: string; omitted?: number }
  | { type: 'audio'; data: string | string[]; transcript: string; omitted?: number };

export type State = 'complete' | 'streaming' | 'stopped' | 'failed' | 'lost';

export interface Message {
  id: string;
  thread_id: string;
  parent_id: string | null;
  role: 'user' | 'assistant';
  content: Content;
  reasoning: string | null;
  tool_calls: ToolCall[];
  citations: Citation[];
  /** Empty for an answer that is only reasoning, text and tool calls, in this order; a question has none. */
  parts?: AnswerPart[];
  state: State;
  error: Problem | null;
  request_id: string | null;
  model: string | null;
  provider: string | null;
  usage: Usage | null;
  cost: number | null;
  ttft_ms: number | null;
  duration_ms: number | null;
  reasoning_ms: number | null;
  attempts: number | null;
  /** Codes of the attempts that failed before this answer. */
  failures: string[];
  route: string | null;
  finish_reason: string | null;
  created_at: number;
  // Known only while the page watches, or said once by `done`:
  tokens_per_second?: number | null;
  closed_ms?: number | null;
  /** Stopped here, but the gateway has not said so. */
  unconfirmed?: boolean;
  phase?: Phase | null;
}

export type Phase =
  | { state: 'asking' | 'resuming' | 'stored' }
  | { state: 'queued'; position: number }
  | { state: 'connecting' | 'streaming'; provider: string; model: string; attempt: number }
  | { state: 'retrying'; provider: string; attempt: number; wait_s: number | null; code: string | null };

export interface ThreadSettings {
  compare?: string | null;
  mode?: string | null;
  system?: string;
  temperature?: number | null;
  max_tokens?: number | null;
  reasoning_effort?: string | null;
  [name: string]: unknown;
}

export interface Thread {
  id: string;
  title: string | null;
  created_at: number;
  updated_at: number;
  pinned: boolean;
  deleted: boolean;
  model: string | null;
  settings: ThreadSettings | null;
  head: string | null;
  messages: number;
  running: string[];
}

/** A part of a thread: the messages of one branch, with those that stand beside them. */
export interface Page {
  thread: Thread;
  messages: Message[];
  /** The branch's leaf. */
  head: string | null;
  /** Whether the branch has messages before these. */
  more: boolean;
}

export interface Hit {
  thread_id: string;
  title: string | null;
  message_id: string;
  snippet: string;
}

export interface Info {
  version: string;
  providers: { name: string; adapter: string; ready: boolean; hint: string | null }[];
  modes: { name: string; model: string | null }[];
  default_model: string | null;
  needs_key: boolean;
  /** Whether keys can be made and changed with the key that this page has. */
  admin: boolean;
  data_dir: string | null;
}

export type Input = 'text' | 'image' | 'audio' | 'file';

export interface Model {
  id: string;
  llmproxy?: {
    kind: 'alias' | 'pattern' | 'model';
    provider: string | null;
    targets: string[] | null;
    context_length: number | null;
    max_output: number | null;
    input: Input[] | null;
    tools: boolean | null;
    reasoning: boolean | null;
    pricing: { prompt: number | null; completion: number | null } | null;
  };
}

export interface Ask {
  content?: Content;
  answer_to?: string;
  continue?: string;
  parent_id?: string | null;
  model?: string;
  mode?: string;
  system?: string;
  temperature?: number;
  max_tokens?: number;
  reasoning_effort?: string;
}
