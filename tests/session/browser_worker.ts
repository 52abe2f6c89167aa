/**
 * A worker that looks like a browser to the library, as far as it can be told: it answers each method
 * that it is sent with the error of that call.
 */

Object.defineProperty(globalThis, "navigator", { value: { userAgent: "Mozilla/5.0" } });
delete (globalThis as { Deno?: unknown }).Deno;

const { Session } = await import("../../session.ts");
const self = globalThis as unknown as {
  onmessage: (event: MessageEvent<{ method: string; baseUrl: string }>) => void;
  postMessage(message: unknown): void;
};
self.onmessage = async ({ data: { method, baseUrl } }) => {
  const session = new Session({ baseUrl, retry: false });
  const { kind, outcome, message } = await session.request(method, "x").catch((error) => error);
  self.postMessage({ kind, outcome, message });
};
self.postMessage("ready");
