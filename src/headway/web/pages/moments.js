// @ts-check
// Times, as people read them.

const STEPS = /** @type {const} */ ([[86400, "day"], [3600, "hour"], [60, "minute"]]);
const relative = new Intl.RelativeTimeFormat("en", { style: "narrow" });
const minute = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** @param {string | null} at */
export const seconds = (at) => Date.parse(at ?? "") / 1000;

/** How long ago, coarsely. @param {string | null} at */
export function ago(at, now = Date.now() / 1000) {
  const passed = now - seconds(at);
  if (!at || Number.isNaN(passed)) return "";
  const [length, unit] = STEPS.find(([length]) => passed >= length) ?? [0, ""];
  return unit ? relative.format(-Math.trunc(passed / length), unit) : "just now";
}

/** The time of day; with the date where that is not today. @param {string | number | Date} at */
export function moment(at) {
  const date = new Date(at);
  const said = clock.format(date);
  return date.toDateString() === new Date().toDateString() ? said : `${day.format(date)}, ${said}`;
}

/** The time of day of what is not known to the second. @param {number} at */
export const about = (at) => (new Date(at).toDateString() === new Date().toDateString() ? `about ${minute.format(at)}` : `about ${day.format(at)}, ${minute.format(at)}`);
