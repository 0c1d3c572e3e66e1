// @ts-check
// Lines to the server: one to each mount, whatever the number of those who listen.
/** @import {Options, Snapshot, Subject, Watcher} from "../src/headway/web/static/headway/headway.js" */
import { follows, unknown } from "./follow.js";

const FIRST = 6e3, SILENT = 4e4, LATEST = 15e3, MOST = 64;

export const now = () => performance.now();
const jittered = (ms = 0, tries = 0, most = LATEST) => Math.min(most, ms * 2 ** tries) * (0.5 + Math.random());

export const problem = async (/** @type {Response} */ response) => ({
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
export const alive = new Set();
let ticked = 0;

/** @param {string | URL} src @param {Options} options @param {Watcher} watcher */
export function join(src, { transport, poll, withCredentials }, watcher) {
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
