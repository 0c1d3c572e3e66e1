// @ts-check
// What people read of a job, as core/words.py says it: tests/golden holds the two together.
/** @import {Described, Memory, Phrases, Snapshot, Stage} from "../src/headway/web/static/headway/headway.js" */

/** @type {Record<string, Phrases>} */
export const words = {};

const HOUR = 3600, DAY = 86400;
const UNITS = /** @type {const} */ ([[DAY, "d", "day"], [HOUR, "h", "hour"], [60, "min", "minute"], [1, "s", "second"]]);
const ROUND = [
  [1, 5, 10, 15, 20, 30, 45],
  [60, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50],
  [HOUR, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 18],
  [DAY, 1, 1.5, 2, 3, 4, 5, 7, 10, 14, 21, 30],
].flatMap(([unit, ...numbers]) => numbers.map((number) => number * unit));
const STEPS = [[60, 5], [300, 30], [1200, 60], [HOUR, 300], [7200, 600], [21600, 1800], [172800, HOUR], [1 / 0, DAY]];

/** @type {<G, T>(make: (given: G) => T, made?: Record<string, T>) => (given: G) => T} */
export const once = (make, made = {}) => (given) => made[JSON.stringify(given)] ??= make(given);

export const speaker = once((language = "") => {
  const english = /^en\b/i.test(language);
  const own = () => words[language] ?? words[language.split("-")[0]];
  /** @param {any[]} values */
  const t = (phrase = "", ...values) => (own()?.[phrase] ?? phrase).replace(/{}/g, () => values.shift());

  const format = once((/** @type {Intl.NumberFormatOptions} */ options) => new Intl.NumberFormat(language, options));
  const percent = (percent = 0) => format({ style: "percent" }).format(percent / 100);
  // All digits: Python rounds what a number is, not its shortest spelling.
  const fixed = (value = 0, digits = 0) =>
    format({ minimumFractionDigits: digits, maximumFractionDigits: digits, roundingMode: "halfEven" })
      .format(/** @type {any} */ (value.toFixed(20)));

  /** @param {Pick<Stage, "count" | "total" | "unit">} of */
  const counts = ({ count, total, unit }) => {
    if (count == null || total === 1) return null; // a total of 1 is a share: the percent says it
    const bytes = unit === "B";
    let power = 0;
    while (bytes && (total ?? count) / 1000 ** power >= 999.95 && power < 6) power++;
    const number = (value = 0) => bytes ? fixed(value /= 1000 ** power, power && value < 99.95 ? 1 : 0)
      : fixed(value, value % 1 ? Math.abs(value) < 10 ? 2 : 1 : 0);
    const name = bytes ? ["B", "kB", "MB", "GB", "TB", "PB", "EB"][power] : unit;
    return number(count) + (total == null ? "" : "/" + number(total)) + (name ? " " + name : "");
  };

  const at = (seconds = 0) => UNITS.findIndex(([unit]) => seconds >= unit || unit === 1);
  const inUnit = (seconds = 0) => +(seconds / UNITS[at(seconds)][0]).toPrecision(3);
  const units = (at = 0) => format({ style: "unit", unit: UNITS[at][2], unitDisplay: "short" });
  const united = (value = 0, at = 0) => english ? `${value} ${UNITS[at][1]}` : units(at).format(value);
  const round = (seconds = 0) => united(inUnit(seconds), at(seconds));

  const duration = (seconds = 0) => {
    if (seconds < 1) return "<" + united(1, 3);
    const first = at(seconds), [length] = UNITS[first];
    const rest = first < 3 ? Math.trunc(seconds % length / UNITS[first + 1][0]) : 0;
    return united(Math.trunc(seconds / length), first) + (rest ? " " + united(rest, first + 1) : "");
  };

  const near = (seconds = 0) => { // the nearest round number, by ratio
    const off = (round = 0) => Math.max(round / seconds, seconds / round);
    return seconds <= 2.5 ? 0 : ROUND.reduce((best, round) => off(round) < off(best) ? round : best);
  };

  const coarse = (seconds = 0) => {
    const [, step] = /** @type {number[]} */ (STEPS.find(([top]) => seconds < top));
    const steps = Math.round(seconds / step), odd = steps % 2 && steps - seconds / step === 0.5;
    return Math.max(1, odd ? steps - 1 : steps) * step;
  };

  const left = (seconds = 0, low = 0, high = 0) => {
    const about = coarse(seconds), two = about > HOUR && about < 6 * HOUR || about > DAY && about < 2 * DAY;
    if (!english && !own()) { // a language without phrases still has "in 4 minutes"
      return new Intl.RelativeTimeFormat(language, { style: "short" }).format(inUnit(about), UNITS[at(about)][2]);
    }
    const down = near(low), up = near(high);
    if (high <= 5) return t("a few seconds left");
    if (high <= low * 1.35) {
      return t("about {} left", two ? duration(about) : round(about));
    }
    if (high > low * 10 && (down || up > 60)) return down ? t("over {} left", round(down)) : null;
    if (!down) return up <= 5 ? t("a few seconds left") : t("up to {} left", round(up));
    if (down === up) return t("about {} left", round(up));
    return t("{} left", at(down) !== at(up) ? `${round(down)}–${round(up)}`
      : english ? `${inUnit(down)}–${round(up)}` : units(at(up)).formatRange(inUnit(down), inUnit(up)));
  };

  return { t, fixed, percent, counts, duration, coarse, left };
});

/** @param {Snapshot} job @param {Memory} memory @returns {Described} */
export function describe(job, language = "en", memory = {}) {
  const { t, fixed, percent, counts, duration, coarse, left } = speaker(language);
  const { status, cancel, children, error, attempt, failed_count, stages, total, unit } = job;
  const elapsed = job.elapsed ?? 0, idle = job.idle_for ?? 0, silent = job.silent_for ?? 0, rate = job.rate ?? 0, wait = job.retry_in ?? 0;
  const running = status === "running", stalled = status === "stalled", over = job.ended_at;

  const state = !over && !stalled && cancel ? t(cancel === "seen" ? "stopping" : "asked to stop")
    : status === "retrying" || (status === "failed" && attempt > 1) ? t("{}, attempt {}", t(status), attempt)
    : t(status);
  const [per, times] = rate >= 1 || unit === "B" ? ["{}/s", 1] : rate >= 1 / 60 ? ["{}/min", 60] : ["{}/h", HOUR];
  const steps = stages.reduce((sum, { count }) => sum + (count ?? 0), (job.count ?? 0) - (job.initial ?? 0));
  const speed = running && rate && total !== 1 ? t(per, counts({ count: rate * times, total: null, unit })) : null;
  const remaining = timeLeft(job, memory, left);
  return {
    name: job.name?.trim() || job.id,
    state,
    percent: job.percent == null ? null : percent(job.percent),
    counts: counts(job),
    rate: speed,
    elapsed: job.elapsed == null ? null : duration(elapsed),
    left: remaining,
    status: running && !cancel && remaining || state,
    detail: [
      stalled || (running && silent >= 8) ? t("nothing heard for {}", duration(silent))
        : running && idle >= Math.max(10, job.patience ?? (steps > 0 ? 5 * elapsed / steps : 1 / 0)) && t("no progress for {}", duration(idle)),
      wait >= 1 && t("next attempt in {}", duration(wait)),
      overrun(job) && t("longer than usual (usually {})", duration(coarse(job.usual ?? 0))),
      failed_count && t(failed_count > 1 ? "{} items failed" : "{} item failed", fixed(failed_count)),
      error && (error.text || error.detail?.trim().split("\n").pop() || error.type),
      children && t(children.count > 1 ? "{} of {} children ended" : "{} of {} child ended", fixed(children.ended), fixed(children.count))
        + (children.failed ? t(", {} failed", fixed(children.failed)) : ""),
      !over && job.activity,
      speed,
    ].filter(Boolean).join(" · "),
    stages: stages.map(({ name, fraction, elapsed, ended, ...stage }) => ({
      name,
      state: ended ? "completed" : elapsed == null ? "pending" : status,
      percent: fraction == null || (elapsed == null && !ended) ? null
        : percent(Math.min(ended ? 100 : 99, Math.floor(fraction * 100 + 1e-6))),
      counts: counts(stage),
    })),
  };
}

/** Whether it takes so much longer than usual that it is worth a word. @param {Snapshot} job */
const overrun = ({ status, elapsed, usual }) => status === "running" && (elapsed ?? 0) >= 5 && (elapsed ?? 0) > 1.5 * (usual || 1 / 0);

/** Holds the finish time that was said for as long as it is likely, and the words for 2 s.
 * @param {Snapshot} job @param {Memory} memory @param {(seconds: number, low: number, high: number) => string | null} left */
function timeLeft(job, memory, left) {
  const { remaining, remaining_low, remaining_high, elapsed, status, read_at, ended_at } = job;
  const beyond = job.estimate_basis === "history" && overrun(job); // longer than all that is known of it
  if (remaining == null || !read_at || ended_at || status === "stalled" || beyond || (elapsed ?? 0) + remaining < 5) {
    memory.finish = memory.said = null;
    return null;
  }
  const now = Date.parse(read_at) / 1000, low = remaining_low ?? remaining, high = remaining_high ?? remaining;
  const inner = (bound = 0) => remaining && remaining * (bound / remaining) ** 0.25;
  let held = (memory.finish ?? 0) - now;
  if (held <= 0 || held < inner(low) || held > inner(high)) memory.finish = now + (held = remaining);
  if (memory.said == null || now - (memory.at ?? 0) >= 2) {
    const said = left(held, low, high);
    if (said !== memory.said) memory.at = now;
    memory.said = said;
  }
  return memory.said;
}
