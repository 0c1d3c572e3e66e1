// @ts-check
// What may be shown after what, and how it reads between two reports.
/** @import {Snapshot} from "../src/headway/web/static/headway/headway.js" */

const time = (at = /** @type {string | null} */ (null)) => Date.parse(at ?? "");

/** Whether it may be shown after the other: what comes late never moves a bar back.
 * @param {Snapshot} job @param {Snapshot} [shown] */
export const follows = (job, shown) => !shown || job.version > shown.version
  || (job.version === shown.version && !(time(job.read_at) < time(shown.read_at)));

/** How it reads some seconds later, when no word came since. @param {Snapshot} job */
export function later(job, age = 0) {
  const moves = { running: { elapsed: 1, idle_for: 1, remaining: -1, remaining_low: -1, remaining_high: -1 }, stalled: { silent_for: 1 }, retrying: { retry_in: -1 } }[String(job.status)];
  /** @type {any} */
  const aged = { ...job };
  if (!moves) return job;
  for (const [name, by] of Object.entries(moves)) if (aged[name] != null) aged[name] = Math.max(0, aged[name] + by * age);
  if (job.read_at) aged.read_at = new Date(time(job.read_at) + age * 1000).toISOString();
  return aged;
}

/** A job of which nothing is known. @returns {any} */
export const unknown = (id = "") => ({ id, version: 0, status: "waiting", stages: [] });
