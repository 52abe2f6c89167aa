/**
 * Asks Deno for the permission to send, before a body is handed to `fetch`. Deno never releases the
 * body of a request that it denies, so the process would not end (seen with Deno 2.9). Internal.
 *
 * @module
 */

interface Permissions {
  querySync(descriptor: object): { state: string };
  requestSync(descriptor: object): { state: string };
}

/**
 * Says whether Deno denies a request. Deno asks the user now, where `fetch` would ask.
 *
 * @param url The URL of the request.
 * @param scope The global object; another object only in tests.
 * @returns The error that `fetch` would reject with, or `undefined` if the request may go out.
 */
export function netDenial(url: string, scope: object = globalThis): Error | undefined {
  const { Deno: runtime } = scope as { Deno?: { permissions?: Permissions } };
  const { permissions } = runtime ?? {};
  if (!permissions) return undefined;
  const { hostname, port, protocol } = new URL(url);
  const host = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
  const descriptor = { name: "net", host };
  const isGranted = permissions.querySync(descriptor).state === "granted" ||
    permissions.requestSync(descriptor).state === "granted";
  if (isGranted) return undefined;
  const denial = new Error(`Requires net access to "${host}", run again with --allow-net`);
  denial.name = "NotCapable";
  return denial;
}
