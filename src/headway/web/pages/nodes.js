// @ts-check
// Nodes of the page. What comes from jobs is only ever put in as text.

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {string} [name] @param {(Node | string)[]} children */
export function make(tag, name, ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...children);
  return node;
}

/** @param {Element} node @param {string | null | undefined} text */
export function put(node, text) {
  if (node.textContent !== (text ?? "")) node.textContent = text ?? "";
}

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
export const byId = (id) => /** @type {T} */ (document.getElementById(id));

/** Text of unknown direction, kept from turning its neighbours round. */
export function isolated(text = "") {
  const node = make("bdi");
  node.textContent = text;
  return node;
}

/** A list of nodes that is kept up to date: as many children as there are items, each drawn by `draw`.
 * @template T @param {Element} host @param {T[]} items @param {() => HTMLElement} create @param {(node: HTMLElement, item: T) => void} draw */
export function keep(host, items, create, draw) {
  while (host.children.length > items.length) host.lastElementChild?.remove();
  while (host.children.length < items.length) host.append(create());
  items.forEach((item, at) => draw(/** @type {HTMLElement} */ (host.children[at]), item));
}
