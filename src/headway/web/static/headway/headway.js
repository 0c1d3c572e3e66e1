// @ts-check
// headway in a web page: words, what follows what, lines to the server, elements.  The guide is docs/web/element.md,
// types stand in headway.d.ts; here, defaults of arguments often tell them.  There is no build: keep it small.
/** @import {Described, Memory, Options, Phrases, Snapshot, Stage, Subject, Watcher} from "./headway.js" */

// Words, as core/words.py says them: tests/golden holds the two together.

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
const once = (make, made = {}) => (given) => made[JSON.stringify(given)] ??= make(given);

const speaker = once((language = "") => {
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
  const elapsed = job.elapsed ?? 0, idle = job.idle_for ?? 0, silent = job.silent_for ?? 0, rate = job.rate ?? 0;
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

// What follows what

const time = (at = /** @type {string | null} */ (null)) => Date.parse(at ?? "");

/** Whether it may be shown after the other: what comes late never moves a bar back.
 * @param {Snapshot} job @param {Snapshot} [shown] */
const follows = (job, shown) => !shown || job.version > shown.version
  || (job.version === shown.version && !(time(job.read_at) < time(shown.read_at)));

/** How it reads some seconds later, when no word came since. @param {Snapshot} job */
function later(job, age = 0) {
  const moves = { running: { elapsed: 1, idle_for: 1, remaining: -1, remaining_low: -1, remaining_high: -1 }, stalled: { silent_for: 1 } }[String(job.status)];
  /** @type {any} */
  const aged = { ...job };
  if (!moves) return job;
  for (const [name, by] of Object.entries(moves)) if (aged[name] != null) aged[name] = Math.max(0, aged[name] + by * age);
  if (job.read_at) aged.read_at = new Date(time(job.read_at) + age * 1000).toISOString();
  return aged;
}

/** A job of which nothing is known. @returns {any} */
const unknown = (id = "") => ({ id, version: 0, status: "waiting", stages: [] });

// Lines: one to each mount, whatever the number of those who listen

const FIRST = 6e3, SILENT = 4e4, LATEST = 15e3, MOST = 64;

const now = () => performance.now();
const jittered = (ms = 0, tries = 0, most = LATEST) => Math.min(most, ms * 2 ** tries) * (0.5 + Math.random());

const problem = async (/** @type {Response} */ response) => ({
  status: response.status,
  after: +(response.headers.get("retry-after") ?? 0),
  ...(await response.json().catch(() => null)),
});

/** @param {string | undefined} mount */
function Line(mount, transport = "auto", poll = 1, cookies = false) {
  /** @type {Map<string, Subject>} */
  const subjects = new Map();
  const known = new Set();
  let asked = [...subjects.values()], turn = new AbortController(), timer = 0, running = false;
  let streamAt = 0, misses = 0, failures = 0, retry = 2e3, pace = poll *= 1e3;

  const wanted = () => [...subjects.values()].filter(({ id, jobs }) => id == null || ![...jobs.values()].some((job) => job.ended_at));
  const tell = (/** @type {(watcher: Watcher) => void} */ say) => subjects.forEach(({ watchers }) => watchers.forEach(say));

  /** @param {Subject} subject @param {Snapshot} job */
  function take({ jobs, watchers, url }, job) {
    const shown = jobs.get(job.id);
    if (job.status === "waiting" && shown?.version) job = { ...shown, status: shown.ended_at ? shown.status : "gone" };
    if (!follows(job, shown)) return false;
    jobs.set(job.id, job);
    watchers.forEach(({ hear }) => hear(job, url.href));
    return job.version !== shown?.version || job.status !== shown.status;
  }

  const request = (url = asked[0].url, signal = turn.signal, headers = {}) =>
    fetch(url, { signal, headers, credentials: cookies ? "include" : "same-origin", cache: "no-store" });

  /** Ask for one; whether there is news. */
  async function ask(subject = asked[0], signal = turn.signal, alone = false) {
    const { url, id, tag, watchers, jobs } = subject;
    const response = await request(url, AbortSignal.any([signal, AbortSignal.timeout(3e4)]), {
      accept: "application/json", ...(tag && { "if-none-match": tag }), ...(alone && { prefer: "wait=20" }),
    });
    subject.waited = response.headers.has("preference-applied");
    if (response.status === 304) return false;
    if (response.status === 404) return id != null && take(subject, unknown(id));
    if (!response.ok) throw await problem(response);
    const answer = await response.json();
    subject.tag = response.headers.get("etag");
    if (id != null) return take(subject, answer);
    /** @type {Snapshot[]} */
    const listed = answer.jobs;
    for (const key of jobs.keys()) if (!listed.some(({ id }) => id === key)) jobs.delete(key);
    listed.forEach(({ id }) => known.add(id));
    watchers.forEach(({ list }) => list?.(listed));
    return listed.filter((job) => take(subject, job)).length > 0;
  }

  function well() {
    if (failures > 1) tell(({ fail }) => fail?.(null));
    failures = 0;
  }
  function failed(/** @type {any} */ why) {
    if (++failures > 1) tell(({ fail }) => fail?.(why));
    return Math.max(jittered(1e3, failures), Math.min(why.after || 0, 60) * 1e3);
  }

  /** No stream for a while; how long to pause until asking in the other way, if there is one. */
  function rest(ms = 0, pause = ms) {
    streamAt = now() + ms;
    return transport === "sse" ? pause : 0;
  }

  /** Take part in a stream until it ends; how long to pause then. */
  async function stream(signal = turn.signal) {
    const url = new URL(mount + "/events"), over = new AbortController(), both = AbortSignal.any([signal, over.signal]);
    const { searchParams } = url, lists = asked.filter(({ id }) => id == null);
    for (const { id, url: { searchParams: given } } of asked) {
      if (id != null) searchParams.append("id", id);
      else if (!given.has("scope")) searchParams.append("scope", ""); // all jobs
      for (const name of ["scope", "token"]) {
        given.getAll(name).forEach((value) => searchParams.has(name, value) || searchParams.append(name, value));
      }
    }
    const guard = (ms = FIRST) => {
      clearTimeout(timer);
      timer = setTimeout(() => over.abort(), ms);
    };
    try {
      for (const list of lists) await ask(list, both);
      guard();
      const response = await request(url, both, { accept: "text/event-stream" });
      if (response.status === 204) return rest(3e5);
      if (!response.body || !/event-stream/.test(response.headers.get("content-type") ?? "")) throw await problem(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", heard = 0; text.length < 1e6; heard++) {
        const { value, done } = await reader.read();
        guard(SILENT);
        if (done && !heard) break;
        if (done) return jittered(retry);
        well();
        const blocks = (text + value).split(/\r?\n\r?\n/);
        text = blocks.pop() ?? "";
        for (const block of blocks) {
          const { event, data = "{}", ...field } = Object.fromEntries(block.split(/\r?\n/).map((line) => /^(\w*):? ?(.*)/s.exec(line)?.slice(1) ?? []));
          const said = event ? JSON.parse(data) : field;
          retry = Math.min(+said.retry || retry, 6e4);
          if (event === "bye" && said.reason !== "later") return rest(retry);
          if (event === "gone" || event === "job") {
            const job = event === "job" ? said : unknown(said.id);
            misses = 0;
            subjects.forEach((subject) => (subject.id ?? [...subject.jobs.keys()].find((id) => id === job.id)) === job.id && take(subject, job));
            if (job.version && !known.has(job.id)) lists.forEach((list) => ask(list, both).catch(() => over.abort()));
            if (job.version) known.add(job.id);
            if (!wanted().length) return 0;
          }
        }
      }
      throw new Error("no stream");
    } catch (why) {
      if (signal.aborted) return 0;
      const pause = jittered(over.signal.aborted ? 3e4 : 2e3, misses++, 6e5);
      return rest(pause, transport === "sse" ? failed(why) : 0);
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  /** Ask for each once; how long to pause then. */
  async function round() {
    let news = false;
    try {
      const alone = asked.length === 1 && asked[0].id != null && asked[0].url.origin === location.origin;
      for (const subject of asked) news = await ask(subject, turn.signal, alone) || subject.waited || news;
    } catch (why) {
      return turn.signal.aborted ? 0 : failed(why);
    }
    if (failures) streamAt = misses = 0; // the server is back
    well();
    pace = news ? poll : Math.min(pace * 1.5, Math.max(poll, 1e4));
    return jittered(pace * Math.max(1, asked.length / 4));
  }

  async function run() {
    if (running) return;
    for (running = true; wanted().length && !document.hidden;) {
      turn = new AbortController();
      asked = wanted();
      const { signal } = turn, streams = transport === "sse" || (mount && transport !== "poll" && now() >= streamAt);
      const pause = await (streams ? stream() : round());
      if (!signal.aborted) await new Promise((go) => (setTimeout(go, pause), signal.addEventListener("abort", go)));
    }
    running = false;
  }

  return {
    subjects,
    /** Those who listen have changed; asks anew only where somebody wants more. */
    settle() {
      subjects.forEach(({ watchers }, key) => watchers.size || subjects.delete(key));
      const left = wanted();
      if (!left.length || !left.every((subject) => asked.includes(subject))) turn.abort();
      run();
    },
    wake() {
      streamAt = 0;
      turn.abort();
      run();
    },
  };
}

/** @type {Record<string, ReturnType<typeof Line>>} */
const lines = {};
/** @type {Set<() => void>} */
const alive = new Set();
let ticked = 0;

/** @param {string | URL} src @param {Options} options @param {Watcher} watcher */
function join(src, { transport, poll, withCredentials }, watcher) {
  const url = new URL(src, document.baseURI), { href } = url;
  const [, mount, , name] = /^(.*)\/jobs(\/([^/]+))?\/?$/.exec(url.origin + url.pathname) ?? [];
  let at = 0, key = "";
  do key = [mount ?? href, transport, poll, !!withCredentials, at++].join(" ");
  while (lines[key]?.subjects.size >= MOST && !lines[key].subjects.has(href));
  const { subjects, settle } = lines[key] ??= Line(mount, transport ?? undefined, Number(poll) || undefined, withCredentials);
  const id = mount && name == null ? undefined : decodeURIComponent(name ?? "");
  /** @type {Subject} */
  const subject = subjects.get(href) ?? { url, id, jobs: new Map(), watchers: new Set() };
  subjects.set(href, subject);
  subject.watchers.add(watcher);
  subject.jobs.forEach((job) => watcher.hear(job, href));
  setTimeout(settle, 20);
  if (!ticked) begin();
  return () => {
    subject.watchers.delete(watcher);
    setTimeout(settle, 20);
  };
}

/** One clock for all; where it leaps, the machine has slept. */
function begin() {
  const wake = () => Object.values(lines).forEach((line) => line.wake());
  ticked = Date.now();
  document.addEventListener("visibilitychange", wake);
  addEventListener("online", wake);
  setInterval(() => {
    if (Math.abs(Date.now() - ticked - 1e3) > 1e4) wake();
    ticked = Date.now();
    document.hidden || alive.forEach((draw) => draw());
  }, 1e3);
}

/** @param {string | URL | Iterable<string | URL>} urls @param {(job: Snapshot, url: string) => void} callback @param {Options} options */
export function watch(urls, callback, options = {}) {
  const all = typeof urls === "string" || urls instanceof URL ? [urls] : [...urls];
  const leave = all.map((url) => join(url, options, { hear: callback }));
  return () => leave.forEach((leave) => leave());
}

// Elements

const CSS = `
:host{display:block;min-inline-size:8em;line-height:1.4;font-variant-numeric:tabular-nums;
--tone:var(--headway-accent,light-dark(#2563eb,#7c9dff));--quiet:color-mix(in srgb,currentColor 68%,transparent)}
:host([hidden]){display:none}
:host([state=completed]){--tone:var(--headway-completed,light-dark(#15803d,#4ade80))}
:host([state=failed]){--tone:var(--headway-failed,light-dark(#b91c1c,#f87171))}
:host(:is([state=stalled],[state=retrying],[state=cancelled],[state=stopped],[state=gone],[offline])){--tone:var(--headway-warning,light-dark(#b45309,#fbbf24))}
[part=head],[part=foot],[part~=stage]{display:flex;gap:.75em;align-items:baseline}
[part=head]{align-items:center}
[part=name],[part~=stage]>:first-child{flex:1;unicode-bidi:isolate}
[part=name]{font-weight:600}
[part=name],[part=status],[part=counts],[part=detail],[part~=stage]>*{min-inline-size:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
[part=head],[part=foot],[part=detail]{min-block-size:1.4em}
:host([cancel]) [part=head]{min-block-size:24px}
[part=percent]{color:var(--tone);font-weight:600}
[part=bar]{block-size:var(--headway-size,.5em);margin-block:.35em;border-radius:1em;overflow:hidden;background:color-mix(in srgb,currentColor 13%,transparent)}
[part=fill]{block-size:100%;inline-size:0;border-radius:inherit;background:var(--tone);transition:inline-size .5s linear}
[part=foot],[part=detail],[part~=stage]{font-size:.875em;color:var(--quiet)}
[part=status]{flex:1 0 auto;max-inline-size:100%}
[part=status]::first-letter{text-transform:uppercase}
:host([state]:not([state=running],[state=waiting],[state=pending])) [part=status],:host([offline]) [part=status]{color:var(--tone);font-weight:600}
:host([state=waiting]) [part=status]{animation:appear .4s .6s backwards}
[part=cancel]{font:inherit;font-size:.8em;line-height:1;color:var(--quiet);min-block-size:24px;padding:0 .8em;background:none;border:1px solid color-mix(in srgb,currentColor 35%,transparent);border-radius:1em;cursor:pointer}
[part=cancel][hidden]{display:none}
[part=cancel]:hover{background:color-mix(in srgb,currentColor 10%,transparent)}
[part=cancel]:disabled{opacity:.6;cursor:default}
[part=percent]:empty,[part=detail]:empty,[part=stages]:empty{display:none}
[part=detail]{unicode-bidi:plaintext;text-align:start}
:host([state=failed]) [part=detail]{white-space:normal;overflow-wrap:anywhere;max-block-size:7em}
[part=stages]{list-style:none;margin:.35em 0 0;padding:0}
[part~=stage]::before{content:"○"/"";inline-size:1em;text-align:center}
[part~=running]::before{content:"●"/"";color:var(--tone)}
[part~=completed]::before{content:"✓"/"";color:var(--tone)}
:host([indeterminate]) [part=fill]{inline-size:30%;animation:slide 1.8s ease-in-out infinite alternate}
:host([compact]){display:flex;align-items:center;gap:.75em}
:host([compact]) :is([part=head],[part=foot]){display:contents}
:host([compact]) [part=bar]{flex:1 1 4em;margin:0}
:host([compact]) [part=name]{flex:0 0 35%}
:host([compact]) [part=percent]{order:1;min-inline-size:4ch;text-align:end}
:host([compact]) [part=cancel]{order:2}
:host([compact]) :is([part=counts],[part=detail],[part=stages]),:host([compact]:is([state=running],[state=completed])) [part=status]{display:none}
:host([compact]) [part=status]{order:1;flex:none}
[role=status]{position:absolute;inline-size:1px;block-size:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@keyframes slide{0%{margin-inline-start:0}to{margin-inline-start:70%}}
@keyframes appear{0%{opacity:0}}
@media(prefers-reduced-motion:reduce){[part=fill]{transition:none;animation-duration:0s!important}:host([indeterminate]) [part=fill]{inline-size:100%;opacity:.4}}
@media(forced-colors:active){[part=bar]{border:1px solid}[part=fill]{background:Highlight;forced-color-adjust:none}[part=cancel]{border-color:ButtonBorder}}`;
const LOOKS = ["transport", "poll", "with-credentials", "cancel", "csrf", "compact"];
const PARTS = "head,name,percent,bar,fill,foot,status,counts,cancel,detail,stages,stage,running,completed";

/** @type {(_?: unknown) => CSSStyleSheet} */
const sheet = once((_) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  return sheet;
});

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {(Node | string)[]} children */
function make(tag, part = "", ...children) {
  const node = document.createElement(tag);
  if (part) node.setAttribute("part", part);
  node.append(...children);
  return node;
}
/** @param {Element} node @param {string | null} text */
const put = (node, text) => node.textContent === (text ?? "") || (node.textContent = text);

const Element = globalThis.HTMLElement ?? class {};

/** What both elements are: something that listens where `src` says, for as long as it is in the page. */
class Listening extends Element {
  static observedAttributes = ["src", "lang", ...LOOKS];
  leave = () => {};
  get src() {
    return this.getAttribute("src");
  }
  set src(url) {
    url == null ? this.removeAttribute("src") : this.setAttribute("src", url);
  }
  get language() {
    const { lang } = /** @type {HTMLElement} */ (this.closest("[lang]") ?? document.documentElement);
    try {
      return Intl.getCanonicalLocales(lang || navigator.language)[0];
    } catch {
      return "en";
    }
  }
  connectedCallback() {
    this.leave();
    const { src } = this, poll = this.getAttribute("poll"), transport = this.getAttribute("transport");
    const options = { poll, transport, withCredentials: this.hasAttribute("with-credentials") };
    if (src) this.leave = join(src, options, /** @type {any} */ (this).watcher);
  }
  disconnectedCallback() {
    this.leave();
  }
  connectedMoveCallback() {}
  attributeChangedCallback(name = "", old = "", value = "") {
    if (this.isConnected && old !== value) this.connectedCallback();
  }
  tell(name = "", /** @type {unknown} */ detail) {
    this.dispatchEvent(new CustomEvent("headway-" + name, { detail, bubbles: true, composed: true }));
  }
}

export class HeadwayProgress extends Listening {
  static observedAttributes = [...super.observedAttributes, "state"];
  /** @type {Snapshot | undefined} */
  #shown;
  #at = 0;
  #offline = 0;
  #state = "waiting";
  /** @type {Memory} */
  #memory = {};
  /** What was announced. @type {{state: string, quarter: number} | undefined} */
  #said;
  #url = "";
  #tick = () => this.#shown?.ended_at || this.#draw();
  #asking = false;
  #part = {
    name: make("span", "name"), percent: make("span", "percent"), fill: make("div", "fill"), bar: make("div", "bar"),
    status: make("span", "status"), counts: make("span", "counts"), cancel: make("button", "cancel"),
    detail: make("div", "detail"), stages: make("ul", "stages"), spoken: make("span"),
  };
  watcher = {
    hear: (/** @type {Snapshot} */ job) => this.snapshot = job,
    fail: (/** @type {unknown} */ why) => {
      if (!why === !this.#offline) return;
      this.#offline = why ? now() : 0;
      if (why) this.tell("error", why);
      this.#draw();
    },
  };

  constructor() {
    super();
    const { name, percent, bar, fill, status, counts, cancel, detail, stages, spoken } = this.#part;
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet()];
    bar.append(fill);
    bar.role = "progressbar";
    bar.ariaValueMin = "0";
    bar.ariaValueMax = "100";
    spoken.role = "status";
    name.dir = "auto";
    cancel.type = "button";
    cancel.onclick = () => this.requestCancel();
    root.append(make("div", "head", name, cancel, percent), bar, make("div", "foot", status, counts), detail, stages, spoken);
  }

  get snapshot() {
    return this.#shown;
  }
  set snapshot(job) {
    const shown = this.#shown;
    if (!job || !follows(job, shown)) return;
    this.#shown = job;
    this.#at = now();
    this.#draw();
    if (!job.version || (job.version === shown?.version && job.status === shown.status)) return;
    this.tell("progress", job);
    if (job.ended_at && !shown?.ended_at) this.tell("done", job);
  }

  connectedCallback() {
    alive.add(this.#tick);
    if (this.#url !== (this.#url = this.src?.split("?")[0] ?? "")) {
      this.#shown = this.#said = undefined;
      this.#memory = {};
      this.#offline = 0;
    }
    this.#draw();
    const { host } = /** @type {ShadowRoot} */ (this.getRootNode());
    if (host?.localName !== "headway-list") super.connectedCallback();
  }
  disconnectedCallback() {
    alive.delete(this.#tick);
    super.disconnectedCallback();
  }
  attributeChangedCallback(name = "", old = "", value = "") {
    if (name !== "state") super.attributeChangedCallback(name, old, value);
    else if (value !== this.#state) this.setAttribute(name, this.#state); // a morphing page took it away
  }

  async requestCancel() {
    const question = this.getAttribute("cancel"), { cancel } = this.#part;
    if (question && !confirm(question)) return;
    const url = new URL(this.src ?? "", document.baseURI), token = url.searchParams.get("token");
    const csrf = this.getAttribute("csrf")
      ?? (url.origin === location.origin && /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1]);
    this.#asking = cancel.disabled = true;
    try {
      const response = await fetch(url.origin + url.pathname.replace(/\/?$/, "/cancel"), {
        method: "POST",
        body: "{}",
        credentials: this.hasAttribute("with-credentials") ? "include" : "same-origin",
        headers: {
          "content-type": "application/json", accept: "application/json",
          ...(csrf && { "x-csrftoken": csrf }), ...(token && { authorization: "Bearer " + token }),
        },
      });
      if (!response.ok) throw await problem(response);
      this.snapshot = await response.json();
    } catch (why) {
      this.tell("error", why);
    }
    this.#asking = false;
    this.#draw();
  }

  #draw() {
    const { name, percent, bar, fill, status, counts, cancel, detail, stages, spoken } = this.#part;
    const painted = this.querySelector("progress"), label = painted?.closest("label")?.firstChild?.textContent?.trim();
    const language = this.language, { t } = speaker(language);
    /** @type {Snapshot} */
    const job = this.#shown ? later(this.#shown, ((this.#offline || now()) - this.#at) / 1e3) : unknown();
    const live = !job.ended_at, known = job.version > 0;
    if (!known && painted && painted.position >= 0) job.fraction = painted.position, job.percent = Math.floor(job.fraction * 100);
    const said = describe(job, language, this.#memory);
    const state = this.#state = job.status, title = label || (known ? said.name : "");
    const offline = live && this.#offline > 0, running = state === "running";
    const standing = offline ? t("no connection") : said.status;
    const text = [job.started_at && said.percent, said.counts, standing].filter(Boolean).join(", ");

    this.setAttribute("state", state);
    this.toggleAttribute("offline", offline);
    this.toggleAttribute("indeterminate", running && job.fraction == null && !offline);
    put(name, title);
    put(percent, job.started_at || painted ? said.percent : "");
    put(status, standing);
    put(counts, said.counts);
    put(detail, offline ? "" : said.detail || (detail.textContent && "\xa0"));
    name.title = title;
    detail.title = said.detail;
    detail.dir = "auto";
    fill.style.inlineSize = job.fraction == null ? "" : job.fraction * 100 + "%";
    bar.ariaLabel = title || t("progress");
    bar.ariaValueNow = job.percent == null ? null : String(job.percent);
    bar.ariaValueText = text;

    put(cancel, t("Cancel"));
    cancel.ariaLabel = `${cancel.textContent} ${title}`.trim();
    cancel.hidden = !this.hasAttribute("cancel") || !live || !known || !job.cancellable;
    cancel.disabled = this.#asking || !!job.cancel;

    const shown = said.stages.filter(({ state }) => said.stages.length < 9 || state === "running").slice(-8);
    while (stages.children.length > shown.length) stages.lastChild?.remove();
    shown.forEach((stage, at) => {
      const line = stages.children[at] ?? stages.appendChild(make("li", "", make("span"), make("span"), make("span")));
      const [first, second, third] = line.children;
      line.setAttribute("part", "stage " + stage.state);
      put(first, stage.name);
      put(second, stage.counts);
      put(third, stage.percent);
    });

    const quarter = Math.floor((job.percent ?? 0) / 25);
    if (this.#said && (standing !== said.left && state !== this.#said.state || quarter > this.#said.quarter)) put(spoken, `${title}: ${text}`);
    if (this.#shown) this.#said = { state, quarter };
  }
}

export class HeadwayList extends Listening {
  /** @type {Map<string, import("./headway.js").HeadwayProgress>} */
  #items = new Map();
  #all = make("div", "list");
  #empty = make("slot");
  watcher = {
    hear: (/** @type {Snapshot} */ job) => {
      const item = this.#items.get(job.id);
      if (item) item.snapshot = job;
    },
    list: (/** @type {Snapshot[]} */ jobs) => {
      jobs.forEach((job, at) => {
        const item = this.#items.get(job.id) ?? this.#item(job), there = this.#all.children[at];
        if (item !== there) this.#all.insertBefore(item, there ?? null);
        item.snapshot = job;
      });
      const ids = new Set(jobs.map(({ id }) => id));
      this.#items.forEach((item, id) => ids.has(id) || (item.remove(), this.#items.delete(id)));
      this.#empty.hidden = jobs.length > 0;
    },
    fail: (/** @type {unknown} */ why) => {
      this.#items.forEach((/** @type {any} */ item) => item.watcher.fail(why));
      if (why && !this.#items.size) this.tell("error", why);
    },
  };

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet()];
    this.#all.role = "list";
    root.append(this.#all, this.#empty);
  }
  connectedCallback() {
    this.#items.forEach((item) => this.#dress(item));
    super.connectedCallback();
  }
  /** @param {Snapshot} job */
  #item({ id }) {
    const item = make("headway-progress", "item"), url = new URL(this.src ?? "", document.baseURI), token = url.searchParams.get("token");
    item.src = `${url.origin}${url.pathname.replace(/\/?$/, "/")}${encodeURIComponent(id)}${token ? "?token=" + encodeURIComponent(token) : ""}`;
    item.role = "listitem";
    item.setAttribute("exportparts", PARTS);
    this.#items.set(id, item);
    this.#dress(item);
    return item;
  }
  /** @param {HTMLElement} item */
  #dress(item) {
    item.lang = this.language;
    for (const name of LOOKS) {
      const value = this.getAttribute(name);
      value == null ? item.removeAttribute(name) : item.setAttribute(name, value);
    }
  }
}

if (globalThis.customElements) {
  customElements.get("headway-progress") || customElements.define("headway-progress", HeadwayProgress);
  customElements.get("headway-list") || customElements.define("headway-list", HeadwayList);
}
