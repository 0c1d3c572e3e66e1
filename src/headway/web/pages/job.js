// @ts-check
// A job's page: all that is known of one job, live.
/** @import {Snapshot, Stage} from "../headway/headway.js" */
import { addressOf, ask } from "./asking.js";
import { describe, follows, later, watch } from "./headway.js";
import { JobList } from "./list.js";
import { about, ago, moment, seconds } from "./moments.js";
import { isolated, keep, make, put } from "./nodes.js";
import { note, Picture } from "./rate.js";

/** @typedef {Snapshot & {scope?: string | null, parent?: string | null, kind?: string | null, worker?: string | null, expires_at?: string | null}} Owned */

/** A titled part of the page, hidden while it has nothing to say. @param {string} title @param {Node[]} inside */
function section(title, ...inside) {
  const node = make("section", "", make("h2", "", title), ...inside);
  node.hidden = true;
  return node;
}

/** @param {unknown} value */
const readable = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

export class JobPage {
  /** @type {Owned | undefined} */
  job;
  offline = false;
  #at = 0;
  #memory = {};
  /** What only a question brings: it is not in a stream's frames. @type {Partial<Snapshot>} */
  #beside = {};
  #asking = false;
  #soon = 0;
  #picture = new Picture();
  #bar = document.createElement("headway-progress");
  #back = make("a", "back", "All jobs");
  #name = make("h1");
  #worry = make("p", "worry");
  #activity = make("p", "activity");
  #cancel = make("button", "danger quiet", "Cancel");
  #facts = make("dl", "facts");
  #now = make("span", "now");
  #top = make("span", "top");
  #span = make("figcaption");
  #stageList = make("ol", "stages");
  #messageList = make("ol", "messages");
  #errorText = make("p", "said");
  #errorDetail = make("pre");
  #more = make("details", "", make("summary", "", "Traceback"), this.#errorDetail);
  #childHost = make("div", "jobs");
  #resultText = make("pre");
  #metaText = make("pre");
  #figure = make("figure", "rate", make("div", "scale", this.#top), make("div", "plot"), this.#span);
  #rate = section("Rate", this.#figure);
  #stages = section("Stages", this.#stageList);
  #error = section("Error", this.#errorText, this.#more);
  #messages = section("Messages", this.#messageList);
  #children = section("Children", this.#childHost);
  #result = section("Result", this.#resultText);
  #meta = section("Given with it", this.#metaText);

  /** @param {HTMLElement} host @param {string} id @param {{changed: (page: JobPage) => void, cancel: (job: Owned) => void}} told */
  constructor(host, id, told) {
    this.host = host;
    this.id = id;
    this.told = told;
    this.#back.href = "?";
    this.#cancel.type = "button";
    this.#cancel.hidden = true;
    this.#cancel.onclick = () => this.cancel();
    this.#childHost.role = "list";
    this.#childHost.ariaLabel = "Children, newest first";
    this.#figure.children[1].append(this.#picture.svg);
    this.#figure.prepend(this.#now);
    this.#name.append(isolated(id));
    this.#activity.dir = "auto";
    host.replaceChildren(
      this.#back, make("div", "title", this.#name, this.#cancel), this.#bar, this.#worry, this.#activity, this.#error, this.#facts,
      this.#rate, this.#stages, this.#children, this.#messages, this.#result, this.#meta,
    );
    this.list = new JobList(this.#childHost);
    this.list.show({ parent: id });
    this.leave = watch(addressOf(id), (job) => this.hear(job));
  }

  close() {
    this.leave();
    clearTimeout(this.#soon);
    this.list.close();
    this.host.replaceChildren();
  }

  /** Ask for all there is, messages and result included. */
  async pulse() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const job = await ask(addressOf(this.id));
      const { messages, error, result, meta } = job;
      this.#beside = { messages, error, result, meta };
      this.hear(job);
      if (job.children) await this.list.pulse();
      this.draw();
    } finally {
      this.#asking = false;
    }
  }

  /** @param {Owned} job */
  hear(job) {
    const shown = this.job;
    if (!this.host.isConnected || !follows(job, shown)) return;
    if (job.status === "gone" && shown) job = { ...shown, status: "gone" };
    const more = shown && (job.message_count !== shown.message_count || job.status !== shown.status || job.attempt !== shown.attempt);
    this.job = job;
    this.#at = performance.now();
    this.#bar.snapshot = job;
    note(job);
    clearTimeout(this.#soon);
    if (more) this.#soon = setTimeout(() => this.pulse().catch(() => {}), 100);
    this.draw();
  }

  cancel() {
    if (this.job && !this.#cancel.hidden && !this.#cancel.disabled) this.told.cancel(this.job);
  }

  get said() {
    return describe(this.#aged, "en", this.#memory);
  }

  get #aged() {
    const job = /** @type {Owned} */ (this.job);
    return /** @type {Owned} */ ({ ...(this.offline ? job : later(job, (performance.now() - this.#at) / 1e3)), ...this.#beside });
  }

  draw() {
    if (!this.job) return;
    const job = this.#aged, said = describe(job, "en", this.#memory), live = !job.ended_at;
    const known = job.version > 0 && job.status !== "gone";
    put(/** @type {Element} */ (this.#name.firstElementChild), said.name);
    put(this.#worry, describe({ ...job, failed_count: 0, error: null, children: null, activity: null, rate: null }, "en").detail);
    put(this.#activity, this.#line(job));
    this.#cancel.hidden = !known || !live || !job.cancellable;
    this.#cancel.disabled = Boolean(job.cancel) || this.offline;
    put(this.#cancel, job.cancel ? "Asked to stop" : "Cancel");
    this.#tell(job, said);
    this.#drawRate(job);
    this.#drawStages(job, said);
    this.#drawError(job);
    this.#drawMessages(job);
    this.#children.hidden = !job.children;
    if (job.children) this.list.schedule();
    this.#drawData(this.#result, this.#resultText, job.result);
    this.#drawData(this.#meta, this.#metaText, job.meta);
    this.told.changed(this);
  }

  /** @param {Owned} job */
  #line(job) {
    if (job.status === "waiting") return "Nothing is known of this job yet. It shows here as soon as it starts.";
    if (job.status === "gone") return "The record of this job is gone: it was kept for as long as it was told to.";
    return job.ended_at ? "" : job.activity;
  }

  /** @param {Owned} job @param {ReturnType<typeof describe>} said */
  #tell(job, said) {
    const { started_at, ended_at, created_at, read_at, remaining, children } = job;
    const finish = !ended_at && remaining != null && read_at ? about((seconds(read_at) + remaining) * 1e3) : null;
    /** @type {[string, string | number | Node | null | undefined | false][]} */
    const facts = [
      ["State", said.state[0].toUpperCase() + said.state.slice(1)],
      ["Likely done", said.left && finish],
      ["Running for", !ended_at && said.elapsed],
      ["Took", ended_at && said.elapsed],
      ["Done", said.counts],
      ["Rate", said.rate],
      ["Failed items", job.failed_count || null],
      ["Children", children && `${children.ended} of ${children.count} ended${children.failed ? `, ${children.failed} failed` : ""}`],
      ["Attempt", job.attempt > 1 && job.attempt],
      ["Started", started_at ? `${moment(started_at)} (${ago(started_at)})` : created_at && `not yet; asked for ${ago(created_at)}`],
      ["Ended", ended_at && `${moment(ended_at)} (${ago(ended_at)})`],
      ["Last heard of", !ended_at && job.silent_for != null && job.silent_for >= 8 && `${describe({ ...job, elapsed: job.silent_for }, "en").elapsed} ago`],
      ["Scope", job.scope && linked(job.scope, `?scope=${encodeURIComponent(job.scope)}`)],
      ["Part of", job.parent && linked(job.parent, `?job=${encodeURIComponent(job.parent)}`)],
      ["Kind", job.kind !== job.name && job.kind],
      ["Worker", job.worker],
      ["Id", job.id],
      ["Kept until", ended_at && job.expires_at && moment(job.expires_at)],
    ];
    const shown = facts.filter(([, value]) => value);
    keep(this.#facts, shown, () => make("div", "", make("dt"), make("dd", "", make("bdi"))), (node, [name, value]) => {
      const [term, { firstElementChild: text }] = /** @type {any} */ (node.children);
      put(term, name);
      if (!(value instanceof Node)) text.localName === "bdi" ? put(text, String(value)) : text.replaceWith(isolated(String(value)));
      else if (text.href !== /** @type {any} */ (value).href) text.replaceWith(value);
    });
  }

  /** @param {Owned} job */
  #drawRate(job) {
    const words = this.#picture.draw(job);
    this.#rate.hidden = !words;
    if (!words) return;
    put(this.#now, words.now);
    put(this.#top, `at most ${words.top}`);
    put(this.#span, `${words.of ? `${words.of}: ` : ""}the last ${words.span}, as seen here`);
  }

  /** @param {Owned} job @param {ReturnType<typeof describe>} said */
  #drawStages(job, said) {
    this.#stages.hidden = !said.stages.length;
    const create = () => make("li", "", make("bdi", "name"), make("span", "bar", make("span", "fill")), make("span", "percent"), make("span", "counts"), make("span", "took"));
    keep(this.#stageList, said.stages, create, (node, stage) => {
      const { fraction, elapsed } = job.stages[said.stages.indexOf(stage)];
      const [name, bar, percent, counts, took] = /** @type {any} */ (node.children);
      node.dataset.state = stage.state;
      put(name, stage.name);
      bar.firstElementChild.style.inlineSize = `${(fraction ?? 0) * 100}%`;
      put(percent, stage.percent);
      put(counts, stage.counts);
      put(took, elapsed == null ? "" : describe({ ...job, elapsed }, "en").elapsed);
      node.classList.toggle("indeterminate", stage.state === "running" && fraction == null && !this.offline);
    });
  }

  /** @param {Owned} job */
  #drawError({ error }) {
    this.#error.hidden = !error || !(error.text || error.type || error.detail);
    if (!error) return;
    put(this.#errorText, [error.type, error.text].filter(Boolean).join(": ") || error.detail?.trim().split("\n").pop());
    put(this.#errorDetail, error.detail);
    this.#more.hidden = !error.detail;
  }

  /** @param {Owned} job */
  #drawMessages({ messages = [] }) {
    this.#messages.hidden = !messages.length;
    keep(this.#messageList, [...messages].reverse(), () => make("li", "", make("time"), make("span")), (node, { at, level, text }) => {
      const [when, what] = /** @type {any} */ (node.children);
      node.dataset.level = level;
      when.dateTime = at;
      put(when, moment(at));
      what.dir = "auto";
      put(what, text);
      node.ariaLabel = level === "info" ? null : `${level}: ${text}`;
    });
  }

  /** @param {HTMLElement} part @param {HTMLElement} where @param {unknown} value */
  #drawData(part, where, value) {
    part.hidden = value == null;
    if (value != null) put(where, readable(value));
  }
}

/** @param {string} text @param {string} href */
function linked(text, href) {
  const link = make("a", "", isolated(text));
  link.href = href;
  return link;
}
