// @ts-check
// Many jobs, newest first: only rows on screen are in the page, and only these are listened to.
/** @import {Snapshot} from "../headway/headway.js" */
/** @typedef {{scope?: string, parent?: string, statuses?: readonly string[], text?: string, folded?: boolean}} Filter */
/** @typedef {{jobs: Snapshot[], next: string | null, until: [string, string] | null, live: number, more_live: boolean, folded: boolean}} Answer */
import { addressOf, ask } from "./asking.js";
import { describe, follows, later, watch } from "./headway.js";
import { ago } from "./moments.js";
import { make, put } from "./nodes.js";
import { note } from "./rate.js";

const BESIDE = 6, LISTENED = 60, SETTLED = 150;

/** Sorts as the store does: by creation, then id. @param {string | null} created @param {string} id */
const placeOf = (created, id) => (created ?? "").replace(/(?:\.(\d+))?Z$/, (_, digits = "") => `.${digits.padEnd(6, "0")}`) + " " + id;

/** One job on a line. */
class Row {
  #name = make("bdi", "name");
  #detail = make("span", "detail");
  #fill = make("span", "fill");
  #percent = make("span", "percent");
  #status = make("span", "status");
  #ago = make("span", "ago");
  #memory = {};
  link = make("a", "row", this.#name, this.#detail, make("span", "bar", this.#fill), this.#percent, this.#status, this.#ago);
  node = make("div", "place", this.link);

  /** @param {Snapshot} job */
  constructor(job) {
    this.node.role = "listitem";
    this.link.href = `?job=${encodeURIComponent(job.id)}`;
    this.#detail.dir = "auto";
    /** @type {HTMLElement} */ (this.link.children[2]).ariaHidden = "true";
  }

  /** @param {Snapshot} job @param {boolean} offline */
  draw(job, offline) {
    const said = describe(job, "en", this.#memory), { link } = this;
    const indeterminate = job.status === "running" && job.fraction == null && !offline;
    link.dataset.state = job.status;
    link.classList.toggle("indeterminate", indeterminate);
    link.classList.toggle("child", Boolean(/** @type {any} */ (job).parent));
    put(this.#name, said.name);
    put(this.#detail, [said.counts, said.detail, job.ended_at && said.elapsed && `took ${said.elapsed}`].filter(Boolean).join(" · "));
    put(this.#percent, job.started_at ? said.percent : "");
    put(this.#status, said.status);
    put(this.#ago, ago(job.created_at));
    this.#fill.style.inlineSize = job.fraction == null ? "" : `${job.fraction * 100}%`;
  }
}

export class JobList {
  /** @type {Map<string, Snapshot>} */
  jobs = new Map();
  /** Ids, as they are shown. @type {string[]} */
  order = [];
  loaded = false;
  live = 0;
  moreLive = false;
  /** Whether jobs that are part of others were left out. */
  folded = false;
  /** How many came at the top, out of sight. */
  unseen = 0;
  offline = false;
  #next = /** @type {string | null} */ (null);
  #asking = /** @type {Promise<void> | null} */ (null);
  #turn = 0;
  #heard = new Map();
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Map<string, () => void>} */
  #leave = new Map();
  #settling = 0;
  #frame = 0;
  #height = 0;

  /** @param {HTMLElement} host @param {(list: JobList) => void} changed */
  constructor(host, changed = () => {}) {
    this.host = host;
    this.changed = changed;
    /** @type {Filter} */
    this.filter = {};
    addEventListener("scroll", this.schedule, { passive: true });
    addEventListener("resize", this.#resized);
  }

  /** Show others. @param {Filter} filter */
  show(filter) {
    if (JSON.stringify(filter) === JSON.stringify(this.filter) && this.loaded) return;
    this.filter = filter;
    this.#forget();
    this.loaded = false;
  }

  close() {
    removeEventListener("scroll", this.schedule);
    removeEventListener("resize", this.#resized);
    clearTimeout(this.#settling);
    cancelAnimationFrame(this.#frame);
    this.#listen([]);
    this.host.replaceChildren();
  }

  /** Ask for the newest, and see what has gone. */
  async pulse() {
    const turn = this.#turn;
    /** @type {Answer} */
    const page = await ask(this.#path());
    if (turn !== this.#turn) return;
    const first = page.until && placeOf(...page.until), newest = this.order[0];
    const gap = first && newest && first > this.#place(newest);
    const before = new Set(gap ? [] : this.order);
    if (gap) this.#forget();
    if (!this.loaded || gap || !page.next) this.#next = page.next;
    const among = new Set(page.jobs.map(({ id }) => id));
    for (const id of this.order) if (!among.has(id) && (!first || this.#place(id) >= first)) this.#drop(id);
    page.jobs.forEach((job) => this.#take(job));
    this.live = page.live;
    this.moreLive = page.more_live;
    this.folded = page.folded;
    const added = this.#sort().filter((id) => !before.has(id) && this.loaded && !gap).length;
    this.loaded = true;
    this.#hold(added);
    this.draw();
    this.changed(this);
  }

  /** Ask for older ones. */
  more() {
    if (!this.#next || this.#asking) return this.#asking;
    const turn = this.#turn;
    const work = async () => {
      /** @type {Answer} */
      const page = await ask(this.#path(this.#next));
      if (turn !== this.#turn) return;
      this.#next = page.next;
      page.jobs.forEach((job) => this.#take(job));
      this.#sort();
    };
    this.#asking = work().catch(() => new Promise((go) => setTimeout(go, 2e3))).finally(() => {
      this.#asking = null;
      this.schedule();
      this.changed(this);
    });
    return this.#asking;
  }

  get complete() {
    return this.loaded && !this.#next;
  }

  /** @param {number} by */
  step(by) {
    const at = this.order.indexOf(this.focused ?? "");
    const next = Math.max(0, Math.min(this.order.length - 1, at + by));
    const id = this.order[next];
    if (!id) return;
    const { top } = this.host.getBoundingClientRect(), y = top + next * this.#height;
    const head = 130, foot = innerHeight - this.#height - 20;
    if (y < head) scrollBy(0, y - head);
    if (y > foot) scrollBy(0, y - foot);
    this.draw();
    this.#rows.get(id)?.link.focus({ preventScroll: true });
  }

  get focused() {
    const active = document.activeElement;
    return [...this.#rows].find(([, { link }]) => link === active)?.[0];
  }

  schedule = () => {
    this.#frame ||= requestAnimationFrame(() => this.draw());
  };

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.host.isConnected || !this.host.offsetParent) return this.#listen([]);
    this.#height ||= parseFloat(getComputedStyle(this.host).getPropertyValue("--row")) || 64;
    const { top } = this.host.getBoundingClientRect(), height = this.#height;
    this.host.style.blockSize = `${this.order.length * height}px`;
    const from = Math.max(0, Math.floor(-top / height) - BESIDE);
    const to = Math.min(this.order.length, Math.ceil((innerHeight - top) / height) + BESIDE);
    if (top >= 0) this.unseen = 0;
    const shown = new Map();
    for (let at = from; at < to; at++) shown.set(this.order[at], at);
    const focused = this.focused;
    if (focused && this.jobs.has(focused)) shown.set(focused, this.order.indexOf(focused));
    this.#lay([...shown].sort(([, one], [, other]) => one - other));
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#listen([...shown.keys()]), SETTLED);
    if (to >= this.order.length - 10 && this.loaded) this.more();
  }

  /** @param {[string, number][]} shown */
  #lay(shown) {
    const ids = new Set(shown.map(([id]) => id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) row.node.remove(), this.#rows.delete(id);
    let next = this.host.firstElementChild;
    for (const [id, at] of shown) {
      const job = /** @type {Snapshot} */ (this.jobs.get(id)), row = this.#rows.get(id) ?? new Row(job);
      this.#rows.set(id, row);
      row.draw(this.offline ? job : later(job, (performance.now() - this.#heard.get(id)) / 1e3), this.offline);
      row.node.style.transform = `translateY(${at * this.#height}px)`;
      row.node.ariaPosInSet = String(at + 1);
      row.node.ariaSetSize = this.#next ? "-1" : String(this.order.length);
      if (row.node === next) next = next.nextElementSibling;
      else this.host.insertBefore(row.node, next);
    }
  }

  #resized = () => {
    this.#height = 0;
    this.schedule();
  };

  /** Listen to those on screen that have not ended, over one connection. @param {string[]} shown */
  #listen(shown) {
    const live = shown.filter((id) => !this.jobs.get(id)?.ended_at).slice(0, LISTENED), wanted = new Set(live);
    for (const [id, leave] of this.#leave) if (!wanted.has(id)) leave(), this.#leave.delete(id);
    for (const id of live) if (!this.#leave.has(id)) this.#leave.set(id, watch(addressOf(id), this.#hear));
  }

  /** @param {Snapshot} job */
  #hear = (job) => {
    if (!this.jobs.has(job.id)) return;
    const { statuses } = this.filter;
    if (job.status === "waiting") return;
    if (job.status !== "gone" && !(statuses?.length && !statuses.includes(job.status))) this.#take({ ...this.jobs.get(job.id), ...job });
    else {
      this.#drop(job.id);
      this.#sort();
      this.changed(this);
    }
    this.schedule();
  };

  /** @param {Snapshot} job */
  #take(job) {
    if (!follows(job, this.jobs.get(job.id))) return;
    this.jobs.set(job.id, job);
    this.#heard.set(job.id, performance.now());
    note(job);
  }

  #drop(id = "") {
    this.jobs.delete(id);
    this.#heard.delete(id);
  }

  #forget() {
    this.#turn++;
    this.jobs.clear();
    this.order = [];
    this.#next = null;
    this.unseen = 0;
  }

  #sort() {
    const places = new Map([...this.jobs.keys()].map((id) => [id, this.#place(id)]));
    return this.order = [...places.keys()].sort((one, other) => (/** @type {string} */ (places.get(one)) < /** @type {string} */ (places.get(other)) ? 1 : -1));
  }

  #place(id = "") {
    return placeOf(this.jobs.get(id)?.created_at ?? null, id);
  }

  /** Those who read further down keep their place. */
  #hold(added = 0) {
    const { top } = this.host.getBoundingClientRect();
    if (!added || !this.#height || top >= 0) return;
    this.unseen += added;
    this.host.style.blockSize = `${this.order.length * this.#height}px`;
    scrollBy({ top: added * this.#height, behavior: "instant" });
  }

  #path(cursor = /** @type {string | null} */ (null)) {
    const { scope, parent, statuses = [], text, folded } = this.filter, query = new URLSearchParams();
    for (const [name, value] of Object.entries({ scope, parent, text, cursor })) if (value) query.set(name, value);
    statuses.forEach((status) => query.append("status", status));
    if (folded) query.set("children", "0");
    return `overview?${query}`;
  }
}
