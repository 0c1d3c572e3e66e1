// @ts-check
// A small picture of the rate over time, from the frames that this page has seen.
/** @import {Snapshot} from "../headway/headway.js" */
import { describe } from "./headway.js";

/** @typedef {{of: string, unit: string | null, points: [number, number][], spacing: number, base?: [number, number]}} Series */

const MOST = 240, JOBS = 200, SVG = "http://www.w3.org/2000/svg", WIDE = 600, HIGH = 100;
const LEAST = 1.5, WINDOW = 4;
/** @type {Map<string, Series>} */
const seen = new Map();

/** What of a job moves: its own bar, the stage that is running, else its share as a whole. @param {Snapshot} job */
function moving({ count, total, unit, rate, stages, fraction }) {
  if (count != null && total !== 1) return { of: "", unit: unit ?? "", at: count, rate };
  const stage = stages.find(({ ended, elapsed, count }) => !ended && elapsed != null && count != null);
  if (stage && stage.total !== 1) return { of: stage.name, unit: stage.unit ?? "", at: stage.count ?? 0, rate: null };
  return fraction == null ? null : { of: "", unit: null, at: fraction * 6000, rate: null };
}

/** Keep what a frame says of its job's rate. @param {Snapshot} job */
export function note(job) {
  const { elapsed } = job, what = moving(job);
  if (job.status !== "running" || elapsed == null || !what) return;
  const known = seen.get(job.id), last = known?.points.at(-1);
  const same = known && known.of === what.of && known.unit === what.unit && !(last && elapsed < last[0] - 2);
  /** @type {Series} */
  const series = same ? known : { of: what.of, unit: what.unit, points: [], spacing: 0.9 };
  seen.delete(job.id);
  seen.set(job.id, series);
  if (seen.size > JOBS) seen.delete(/** @type {string} */ (seen.keys().next().value));
  const rate = what.rate ?? measured(series, what.at, elapsed);
  if (rate == null) return;
  if (same && last && elapsed - last[0] < series.spacing) return;
  series.points.push([elapsed, rate]);
  if (series.points.length > MOST) {
    series.points = series.points.filter((_, at) => at % 2 === 0);
    series.spacing *= 2;
  }
}

/** How fast it moved over the last few seconds. @param {Series} series */
function measured(series, at = 0, elapsed = 0) {
  const [before, since] = series.base ?? [at, elapsed], passed = elapsed - since;
  if (!series.base || at < before) series.base = [at, elapsed];
  if (passed < LEAST) return null;
  if (passed >= WINDOW) series.base = [at, elapsed];
  return Math.max(0, at - before) / passed;
}

/** What a rate is called. @param {Snapshot} job @param {Series} series @param {number} rate */
const said = (job, series, rate) => series.unit == null ? `${rate.toFixed(rate < 10 ? 1 : 0)} % a minute`
  : describe({ ...job, status: "running", total: null, unit: series.unit || null, rate }, "en").rate ?? "0";

/** The picture: an area over the time of this attempt. */
export class Picture {
  #line = document.createElementNS(SVG, "path");
  #area = document.createElementNS(SVG, "path");
  svg = document.createElementNS(SVG, "svg");

  constructor() {
    this.svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.#area.setAttribute("class", "area");
    this.#line.setAttribute("class", "line");
    this.svg.append(this.#area, this.#line);
  }

  /** Draw what was seen; what to write beside it, null while there is nothing to show. @param {Snapshot} job */
  draw(job) {
    const series = seen.get(job.id);
    if (!series || series.points.length < 3) return null;
    const { points } = series, [from] = points[0], [to, now] = points[points.length - 1];
    const top = Math.max(...points.map(([, rate]) => rate)), scale = top * 1.15 || 1;
    const at = points.map(([t, rate]) => [((t - from) / (to - from || 1)) * WIDE, HIGH - (rate / scale) * HIGH]);
    const line = at.map(([x, y], first) => `${first ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", `${line}L${WIDE} ${HIGH}L0 ${HIGH}Z`);
    const words = { of: series.of, now: said(job, series, now), top: said(job, series, top), span: describe({ ...job, elapsed: to - from }, "en").elapsed };
    this.svg.setAttribute("aria-label", `Rate over the last ${words.span}: now ${words.now}, at most ${words.top}`);
    return words;
  }
}
