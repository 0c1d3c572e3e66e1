// @ts-check
// The dashboard: which page is shown, what is asked for every two seconds, the keyboard.
/** @import {Owned} from "./job.js" */
import { ask, cancel, Trouble } from "./asking.js";
import { JobPage } from "./job.js";
import { JobList } from "./list.js";
import { moment } from "./moments.js";
import { byId, isolated, make, put } from "./nodes.js";

const PULSE = 2e3, TYPING = 250;
const LIVE = ["pending", "running", "retrying", "stalled"];
/** @type {[string, string, readonly string[]][]} */
const STATUSES = [
  ["", "All", []], ["live", "Live", LIVE], ["stalled", "Stalled", ["stalled"]], ["completed", "Completed", ["completed"]],
  ["failed", "Failed", ["failed"]], ["cancelled", "Cancelled", ["cancelled"]], ["stopped", "Stopped", ["stopped"]],
];
const MARKS = /** @type {Record<string, string>} */ ({ completed: "✓", failed: "✗", cancelled: "■", stopped: "■", stalled: "!" });

const parts = { list: byId("list"), job: byId("job"), jobs: byId("jobs"), trouble: byId("trouble"), newer: byId("newer"), scope: /** @type {HTMLAnchorElement} */ (byId("scope")) };
const text = /** @type {HTMLInputElement} */ (byId("text"));
const question = /** @type {HTMLDialogElement} */ (byId("question"));
const keys = /** @type {HTMLDialogElement} */ (byId("keys"));

/** @type {JobPage | null} */
let page = null;
let asked = new URLSearchParams(), listed = asked, scrolled = 0, well = Date.now(), timer = 0, typing = 0, round = 0;
/** @type {string | null} */
let trouble = null;
/** @type {Owned | null} */
let doomed = null;

const list = new JobList(parts.jobs, drawList);

// Which page

function route() {
  const before = asked;
  asked = new URLSearchParams(location.search);
  const id = asked.get("job");
  if (!id) listed = asked;
  if (!before.get("job") && id) scrolled = scrollY;
  if (page?.id !== id) {
    page?.close();
    page = id ? new JobPage(parts.job, id, { changed: drawJob, cancel: doubt }) : null;
  }
  parts.job.hidden = !id;
  parts.list.hidden = Boolean(id);
  if (!id) {
    const status = STATUSES.find(([key]) => key === (asked.get("status") ?? "")) ?? STATUSES[0];
    const wanted = { scope: asked.get("scope") ?? "", text: asked.get("text") ?? "", statuses: status[2], folded: !asked.get("children") && !asked.get("text") };
    if (!typing && text.value.trim() !== wanted.text) text.value = wanted.text;
    list.show(wanted);
    byId("children").ariaPressed = String(!wanted.folded);
    drawFilter(status[0], wanted.scope);
    drawList();
  }
  scrollTo({ top: id ? 0 : before.get("job") ? scrolled : scrollY, behavior: "instant" });
  pulse();
}

/** @param {string} search @param {boolean} [replace] */
function go(search, replace) {
  history[replace ? "replaceState" : "pushState"](null, "", search);
  route();
}

/** @param {string} name @param {string} value */
function choose(name, value, replace = false) {
  const next = new URLSearchParams(asked.get("job") ? "" : location.search);
  value ? next.set(name, value) : next.delete(name);
  go(`?${next}`, replace);
}

// What is asked again and again

async function pulse() {
  clearTimeout(timer);
  const mine = ++round;
  try {
    if (!document.hidden) {
      await (page ?? list).pulse();
      hear(null);
    }
  } catch (why) {
    hear(why instanceof Trouble ? why : null);
    if (!(why instanceof Trouble)) throw why;
  } finally {
    if (mine === round) timer = setTimeout(pulse, PULSE);
  }
}

/** @param {Trouble | null} why */
function hear(why) {
  if (!why) well = Date.now();
  const old = `What you see is from ${moment(well)}.`;
  const said = {
    away: `No connection to headway serve. ${old} This page goes on by itself when it is back.`,
    store: `The store cannot be read just now. ${old} The jobs themselves go on.`,
    token: "This dashboard asks for its token again: open the address that headway serve printed.",
    refused: why?.detail || "This was refused.",
  };
  const kind = why?.kind ?? null;
  if (kind !== trouble) put(parts.trouble, kind && said[kind]);
  trouble = kind;
  document.body.classList.toggle("offline", kind !== null);
  list.offline = kind !== null;
  if (page) page.offline = page.list.offline = kind !== null;
  page ? page.draw() : list.schedule();
}

// What is shown

const radios = STATUSES.map(([key, said]) => {
  const radio = make("button", "", make("span", "", said), make("span", "count"));
  radio.type = "button";
  radio.role = "radio";
  radio.onclick = () => choose("status", key);
  return radio;
});
byId("statuses").append(...radios);

/** @param {string} status @param {string} scope */
function drawFilter(status, scope) {
  radios.forEach((radio, at) => {
    const chosen = STATUSES[at][0] === status;
    radio.ariaChecked = String(chosen);
    radio.tabIndex = chosen ? 0 : -1;
  });
  const without = new URLSearchParams(location.search);
  without.delete("scope");
  parts.scope.href = `?${without}`;
  parts.scope.hidden = !scope;
  parts.scope.replaceChildren("Scope ", isolated(scope), " ✕");
  parts.scope.title = "Show all scopes";
}

function drawList() {
  const { order, loaded, filter, live, moreLive, complete, unseen } = list;
  const count = live ? `${live}${moreLive ? "+" : ""}` : "";
  const narrowed = Boolean(filter.scope || filter.text || filter.statuses?.length || list.folded);
  put(radios[1].children[1], count);
  byId("start").hidden = !loaded || narrowed || order.length > 0;
  byId("none").hidden = !loaded || !narrowed || order.length > 0;
  put(byId("looked"), complete ? "" : "None so far. Older ones are being looked through.");
  if (loaded && !order.length) list.more();
  parts.newer.hidden = Boolean(page) || !unseen;
  put(parts.newer, `↑ ${unseen} new`);
  if (!page) document.title = `${count ? `(${count}) ` : ""}headway`;
}

/** @param {JobPage} shown */
function drawJob(shown) {
  const { job, said } = shown;
  if (!job || shown !== page) return;
  parts.newer.hidden = true;
  const mark = trouble ? "…" : MARKS[job.status] ?? said.percent ?? "";
  document.title = `${mark} ${said.name}`.trim();
}

// To cancel, with a question

/** @param {Owned} job */
function doubt(job) {
  doomed = job;
  byId("asked").replaceChildren("Cancel ", isolated(job.name?.trim() || job.id), "?");
  put(question.querySelector(".refused") ?? question, "");
  question.showModal();
}

question.addEventListener("click", async ({ target }) => {
  const { value } = /** @type {HTMLButtonElement} */ (target);
  if (value === "no" || target === question) question.close();
  if (value !== "yes" || !doomed) return;
  const button = /** @type {HTMLButtonElement} */ (target);
  button.disabled = true;
  try {
    const job = await cancel(doomed.id);
    if (page?.id === job.id) page.hear(job);
    question.close();
  } catch (why) {
    const { kind, detail } = /** @type {Trouble} */ (why);
    put(question.querySelector(".refused") ?? question, kind === "away" ? "No connection: it was not asked. Try again." : detail);
  } finally {
    button.disabled = false;
  }
});

// The mouse, the keyboard

document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.origin !== location.origin || link.pathname !== location.pathname) return;
  event.preventDefault();
  link.classList.contains("back") ? leave() : go(link.search || "?");
});

/** To the list as it was; at once, where going back would take its time. */
function leave() {
  if (page) go(`?${listed}`);
}

text.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    typing = 0;
    choose("text", text.value.trim(), Boolean(asked.get("text")));
  }, TYPING);
});
byId("search").addEventListener("submit", (event) => event.preventDefault());
byId("statuses").addEventListener("keydown", ({ key }) => {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
  if (!by) return;
  const next = radios[(radios.findIndex(({ ariaChecked }) => ariaChecked === "true") + by + radios.length) % radios.length];
  next.click();
  next.focus();
});
byId("children").onclick = () => choose("children", asked.get("children") ? "" : "1");
parts.newer.onclick = () => scrollTo({ top: 0 });
byId("help").onclick = () => keys.showModal();
document.addEventListener("keydown", (event) => {
  const { key, target } = event, typingNow = /** @type {Element} */ (target).matches("input");
  if (event.metaKey || event.ctrlKey || event.altKey || question.open || keys.open) return;
  if (key === "Escape" && typingNow) text.value ? ((text.value = ""), choose("text", "", true)) : text.blur();
  else if (key === "Escape") leave();
  if (typingNow) return key === "ArrowDown" || key === "Enter" ? (list.step(1), event.preventDefault()) : undefined;
  const does = /** @type {Record<string, () => void>} */ ({
    "/": () => text.focus(), "?": () => keys.showModal(), c: () => page?.cancel(),
    j: () => (page?.list ?? list).step(1), k: () => (page?.list ?? list).step(-1),
  })[key];
  if (!does) return;
  event.preventDefault();
  does();
});

// How to start

byId("copy").onclick = async () => {
  const snippet = byId("snippet");
  getSelection()?.selectAllChildren(snippet);
  const done = await navigator.clipboard?.writeText(snippet.textContent ?? "").then(() => true, () => false);
  put(byId("copy"), done || document.execCommand("copy") ? "Copied" : "Press Ctrl+C");
  setTimeout(() => put(byId("copy"), "Copy"), 2e3);
};

async function begin() {
  const { store, snippet } = await ask("about");
  put(byId("store"), store);
  byId("store").title = store;
  put(byId("snippet"), snippet);
}

const start = () => begin().catch(() => setTimeout(start, PULSE));
addEventListener("popstate", route);
document.addEventListener("visibilitychange", pulse);
addEventListener("online", pulse);
setInterval(() => document.hidden || (page ? page.draw() : list.schedule()), 1e3);
history.scrollRestoration = "manual";
start();
route();
