// @ts-check
// What is asked of the server, and what is wrong when it cannot be had.

/** Why something cannot be had: "away" (no server), "store" (it cannot read), "token", "refused". */
export class Trouble extends Error {
  /** @param {"away" | "store" | "token" | "refused"} kind @param {string} [detail] */
  constructor(kind, detail = "") {
    super(detail || kind);
    this.kind = kind;
    this.detail = detail;
  }
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function ask(path, options) {
  let response, answer;
  try {
    const signal = AbortSignal.timeout(15e3);
    response = await fetch(path, { cache: "no-store", headers: { accept: "application/json" }, signal, ...options });
    answer = await response.json();
  } catch {
    throw new Trouble(response?.status === 401 ? "token" : "away");
  }
  if (response.ok) return answer;
  const kind = response.status === 401 ? "token" : response.status === 503 ? "store" : "refused";
  throw new Trouble(kind, answer.detail);
}

/** @param {string} id */
export const addressOf = (id) => `jobs/${encodeURIComponent(id)}`;

/** Ask a job to stop. @param {string} id */
export const cancel = (id) => ask(`${addressOf(id)}/cancel`, {
  method: "POST",
  body: "{}",
  headers: { "content-type": "application/json", accept: "application/json" },
});
