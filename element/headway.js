// @ts-check
// headway in a web page.  The guide is docs/web/element.md, types stand in headway.d.ts; here, defaults of
// arguments often tell them.  What pages load is made of this by `make element`: keep it small.
import { HeadwayList } from "./list.js";
import { HeadwayProgress } from "./progress.js";

export { follows, later } from "./follow.js";
export { watch } from "./lines.js";
export { describe, words } from "./words.js";
export { HeadwayList, HeadwayProgress };

if (globalThis.customElements) {
  customElements.get("headway-progress") || customElements.define("headway-progress", HeadwayProgress);
  customElements.get("headway-list") || customElements.define("headway-list", HeadwayList);
}
