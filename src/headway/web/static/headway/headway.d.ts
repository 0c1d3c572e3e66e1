/**
 * headway in the browser: `<headway-progress>`, `<headway-list>`, `watch()` and `describe()`.
 *
 * Unknown is null.  Shares are 0 to 1, durations are seconds, times are ISO 8601 in UTC.
 */

export type Status =
  /** Nobody has begun it; its worker is on the way. */
  | "pending"
  | "running"
  /** An attempt failed, and another will be made. */
  | "retrying"
  /** Its worker has been silent for longer than it is believed. */
  | "stalled"
  | "completed"
  | "failed"
  | "cancelled"
  /** Left before its end, and nothing told why. */
  | "stopped"
  /** Nothing is known of it (yet). */
  | "waiting"
  /** It was known, and no longer is. */
  | "gone";

/** A weighted share of a job's bar. */
export interface Stage {
  name: string;
  weight: number | null;
  fraction: number | null;
  count: number | null;
  total: number | null;
  unit: string | null;
  elapsed: number | null;
  ended: boolean;
}

/** A line worth keeping. */
export interface Message {
  at: string;
  level: "debug" | "info" | "success" | "warning" | "error";
  text: string;
}

/** The record of a job at one moment, as a viewer reads it; its owner may read more. */
export interface Snapshot {
  headway?: number;
  id: string;
  /** Rises with each change. */
  version: number;
  name: string | null;
  status: Status;
  attempt: number;
  /** How far it is, 0 to 1: 1 when it has completed and only then. */
  fraction: number | null;
  percent: number | null;
  count: number | null;
  total: number | null;
  unit: string | null;
  rate: number | null;
  activity: string | null;
  stages: Stage[];
  children: { count: number; ended: number; failed: number } | null;
  failed_count: number;
  initial?: number;
  elapsed: number | null;
  /** Estimated seconds left; four truths in five lie between `remaining_low` and `remaining_high`. */
  remaining: number | null;
  remaining_low: number | null;
  remaining_high: number | null;
  estimate_basis: "run" | "history" | "both" | null;
  /** Seconds that such a job usually takes. */
  usual: number | null;
  /** Seconds without progress that are nothing unusual. */
  patience: number | null;
  idle_for: number | null;
  silent_for: number | null;
  /** Seconds until the next attempt is due, while retrying. */
  retry_in: number | null;
  cancel: "requested" | "seen" | null;
  cancellable: boolean;
  error: { text?: string | null; type?: string | null; detail?: string | null } | null;
  messages: Message[];
  message_count: number;
  created_at: string | null;
  started_at: string | null;
  ended_at: string | null;
  read_at: string | null;
  result?: unknown;
  meta?: unknown;
}

/** What people read of a job, in words; null where there is nothing to say. */
export interface Described {
  /** What people call it; its id where it has no name. */
  name: string;
  /** What it is at: its status, or what somebody asked of it. */
  state: string;
  percent: string | null;
  counts: string | null;
  rate: string | null;
  elapsed: string | null;
  /** Time left. */
  left: string | null;
  /** Time left of a running job, else what it is at. */
  status: string;
  /** Silence, standstill, failed items; why it failed; its children; what is happening right now. */
  detail: string;
  stages: { name: string; state: Status; percent: string | null; counts: string | null }[];
}

export interface Options {
  /** "auto" streams, and polls where streams do not come through; the default. */
  transport?: "auto" | "sse" | "poll" | string | null;
  /** Seconds between two polls, 1 by default. */
  poll?: number | string | null;
  /** Whether cookies go along to another origin. */
  withCredentials?: boolean;
}

/** What holds words of time left still. */
export interface Memory {
  finish?: number | null;
  said?: string | null;
  at?: number;
}

/** Whoever listens. @internal */
export interface Watcher {
  hear(job: Snapshot, url: string): void;
  list?(jobs: Snapshot[]): void;
  /** null: there is a connection again. */
  fail?(why: unknown): void;
}

/** What is listened to: one job, or a list, which has no id. @internal */
export interface Subject {
  url: URL;
  id?: string;
  jobs: Map<string, Snapshot>;
  watchers: Set<Watcher>;
  tag?: string | null;
  waited?: boolean;
}

/** Words of another language by their English ones: `{"{} left": "noch {}", "failed": "fehlgeschlagen", …}`. */
export type Phrases = Record<string, string>;

/** What pages say in other languages, by language; what is missing is said in English. */
export const words: Record<string, Phrases>;

/** What people read of a job; words of time left hold still for whoever passes the same `memory` again. */
export function describe(job: Snapshot, language?: string, memory?: Memory): Described;

/**
 * Hear of jobs until they end, over one connection for all of a page.
 *
 * @param urls Where a job is (`…/jobs/ID`), or many (`…/jobs?scope=…`), or several of these.
 * @param callback Told each news, and at first how things stand.
 * @returns Stops watching.
 */
export function watch(
  urls: string | URL | Iterable<string | URL>,
  callback: (job: Snapshot, url: string) => void,
  options?: Options,
): () => void;

/** Whether a state may be shown after another: what comes late never moves a bar back. */
export function follows(job: Snapshot, shown?: Snapshot): boolean;

/** How a job reads some seconds later, when no word came since. */
export function later(job: Snapshot, seconds?: number): Snapshot;

/** A bar for one job. */
export class HeadwayProgress extends HTMLElement {
  /** Where the job is: `…/jobs/ID`. */
  src: string | null;
  /** What is shown; may be set by those who hear of the job in another way. */
  snapshot: Snapshot | undefined;
  /** Ask the job to stop. */
  requestCancel(): Promise<void>;
}

/** Bars for all jobs of a list, newest first; those that start later are added. */
export class HeadwayList extends HTMLElement {
  /** Where the list is: `…/jobs?scope=…`. */
  src: string | null;
}

declare global {
  interface HTMLElementTagNameMap {
    "headway-progress": HeadwayProgress;
    "headway-list": HeadwayList;
  }
  interface GlobalEventHandlersEventMap {
    /** There is news of a job. */
    "headway-progress": CustomEvent<Snapshot>;
    /** A job has ended, whichever way; `detail.status` says which. */
    "headway-done": CustomEvent<Snapshot>;
    /** What was asked cannot be had: no connection, an answer that is none, a cancel that is refused. */
    "headway-error": CustomEvent<unknown>;
  }
}
