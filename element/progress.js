// @ts-check
// <headway-progress>, and what it has in common with <headway-list>.
/** @import {Memory, Snapshot} from "../src/headway/web/static/headway/headway.js" */
import { follows, later, unknown } from "./follow.js";
import { alive, join, now, problem } from "./lines.js";
import CSS from "./look.css";
import { describe, once, speaker } from "./words.js";

export const LOOKS = ["transport", "poll", "with-credentials", "cancel", "csrf", "compact"];
export const PARTS = "head,name,percent,bar,fill,foot,status,counts,cancel,detail,stages,stage,running,completed";

/** @type {(_?: unknown) => CSSStyleSheet} */
export const sheet = once((_) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  return sheet;
});

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {(Node | string)[]} children */
export function make(tag, part = "", ...children) {
  const node = document.createElement(tag);
  if (part) node.setAttribute("part", part);
  node.append(...children);
  return node;
}
/** @param {Element} node @param {string | null} text */
const put = (node, text) => node.textContent === (text ?? "") || (node.textContent = text);

const Element = globalThis.HTMLElement ?? class {};

/** What both elements are: something that listens where `src` says, for as long as it is in the page. */
export class Listening extends Element {
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
    const state = this.#state = job.status, title = label || (known ? said.name : painted?.ariaLabel || painted?.title || "");
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
