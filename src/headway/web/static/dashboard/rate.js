// @ts-check
// A small picture of the rate over time, from the frames that this page has seen.
/** @import {Snapshot} from "../headway.js" */
import { describe } from "./headway.js";

/** @typedef {{unit: string | null, points: [number, number][], spacing: number, share?: [number, number]}} Series */

const MOST = 240, JOBS = 200, SVG = "http://www.w3.org/2000/svg", WIDE = 600, HIGH = 100;
/** @type {Map<string, Series>} */
const seen = new Map();

/** Keep what a frame says of its job's rate. @param {Snapshot} job */
export function note(job) {
  if (job.status !== "running" || job.elapsed == null) return;
  const known = seen.get(job.id), last = known?.points.at(-1);
  const counted = job.rate != null && job.total !== 1;
  const unit = counted ? job.unit ?? "" : null;
  const fresh = !known || known.unit !== unit || (last && job.elapsed < last[0] - 2);
  /** @type {Series} */
  const series = fresh ? { unit, points: [], spacing: 0.9 } : known;
  seen.delete(job.id);
  seen.set(job.id, series);
  if (seen.size > JOBS) seen.delete(/** @type {string} */ (seen.keys().next().value));
  const rate = counted ? job.rate : perMinute(series, job);
  if (rate == null) return;
  if (last && !fresh && job.elapsed - last[0] < series.spacing) series.points.pop();
  series.points.push([job.elapsed, rate]);
  if (series.points.length > MOST) {
    series.points = series.points.filter((_, at) => at % 2 === 0);
    series.spacing *= 2;
  }
}

/** How many percent a minute, where nothing is counted. @param {Series} series @param {Snapshot} job */
function perMinute(series, { fraction, elapsed }) {
  if (fraction == null || elapsed == null) return null;
  const [before, at] = series.share ?? [fraction, elapsed];
  if (!series.share || elapsed - at >= 3 || fraction < before) series.share = [fraction, elapsed];
  return elapsed - at < 1 ? null : Math.max(0, ((fraction - before) * 6000) / (elapsed - at));
}

/** What a rate is called. @param {Snapshot} job @param {Series} series @param {number} rate */
const said = (job, series, rate) => series.unit == null ? `${rate.toFixed(rate < 10 ? 1 : 0)} %/min`
  : describe({ ...job, status: "running", rate }, "en").rate ?? "0";

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
    const words = { now: said(job, series, now), top: said(job, series, top), span: describe({ ...job, elapsed: to - from }, "en").elapsed };
    this.svg.setAttribute("aria-label", `Rate over the last ${words.span}: now ${words.now}, at most ${words.top}`);
    return words;
  }
}
