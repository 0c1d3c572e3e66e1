// @ts-check
// <headway-list>: a bar for each job of a list.
/** @import {Snapshot} from "../src/headway/web/static/headway/headway.js" */
import { Listening, LOOKS, make, PARTS, sheet } from "./progress.js";

export class HeadwayList extends Listening {
  /** @type {Map<string, import("../src/headway/web/static/headway/headway.js").HeadwayProgress>} */
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
