/**
 * URLs that cannot leave the base of their session. Internal to {@linkcode Session}.
 *
 * @module
 */

import { encodeForm } from "./body.ts";
import { RequestError } from "./request_error.ts";

/**
 * Checks a base URL.
 *
 * @returns The URL with a slash at the end: every URL of the session begins with it.
 * @throws {RequestError} If the URL is not absolute, not http or https, or more than origin and
 *   path.
 */
export function parseBase(baseUrl: string | URL): string {
  let base: URL;
  try {
    base = new URL(baseUrl);
  } catch {
    throw new RequestError("Cannot use baseUrl: it is no absolute URL, wanted https://host/path");
  }
  const { protocol, origin, pathname, username, password, search, hash } = base;
  if (!/^https?:$/.test(protocol) || username || password || search || hash) {
    throw new RequestError(
      "Cannot use baseUrl: wanted http or https, an origin and a path, and no user, query or fragment",
    );
  }
  return origin + pathname.replace(/\/*$/, "/");
}

/** Most paths: nothing in them needs a look or an escape. */
const PLAIN = /^[\w-]+(?:\/[\w-]+)*$/;

/**
 * Joins a path and a query to a base URL.
 *
 * @throws {RequestError} If the path would leave the base URL, or a server on the way may read it
 *   so.
 */
export function resolve(base: string, path: string, query: object | undefined): string {
  const isPlain = query === undefined && typeof path === "string" && PLAIN.test(path);
  if (isPlain) return base + path;
  // deno-lint-ignore no-control-regex -- URL drops tabs and newlines, which hides a ".." from the eye
  if (typeof path !== "string" || /[\x00-\x1f\x7f\\#]/.test(path)) {
    throw new RequestError(
      "Cannot use the path: wanted a string without control characters, backslashes and #",
    );
  }
  const start = path.indexOf("?");
  const route = start < 0 ? path : path.slice(0, start);
  let search = start < 0 ? "" : path.slice(start + 1);
  if (/^(?:[a-z][a-z\d+.-]*:)?\/\//i.test(route)) {
    throw new RequestError("Cannot use the path: it names a host, wanted one below baseUrl");
  }
  if (/[%.]/.test(route)) checkSegments(route);
  if (query !== undefined) search += (search && "&") + encodeForm(query, "query");
  const href = route === "" ? base.slice(0, -1) : base + route.replace(/^\//, "");
  const url = new URL(href + (search && "?") + search);
  checkBelow(base, url);
  return url.href;
}

/** Checks each segment as it reads after decoding: some servers decode before they route. */
function checkSegments(route: string): void {
  let decoded: string;
  try {
    decoded = decodeURIComponent(route);
  } catch {
    throw new RequestError("Cannot use the path: it holds a % that encodes nothing, wanted %25");
  }
  // URL drops spaces at the end, which makes a ".." of a ".. "
  // deno-lint-ignore no-control-regex -- see above
  if (/(?:^|\/) *\.\.? *(?:\/|$)|[\x00-\x1f\x7f\\]/.test(decoded)) {
    throw new RequestError("Cannot use the path: it holds a dot segment, wanted one below baseUrl");
  }
}

/**
 * Checks that a URL is below the base.
 *
 * @throws {RequestError} If the URL is elsewhere.
 */
export function checkBelow(base: string, url: URL): void {
  if (`${withoutQuery(url.href)}/`.startsWith(base)) return;
  throw new RequestError("Cannot use the URL: it is not below baseUrl");
}

/** The part of a URL that may be shown. */
export function withoutQuery(href: string): string {
  const hash = href.indexOf("#");
  const path = hash < 0 ? href : href.slice(0, hash);
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}
