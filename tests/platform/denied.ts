/** Sends what Deno denies, and says what came of it. Run by `permission_test.ts`, without permissions. */

import { Session } from "../../session.ts";

const session = new Session({ baseUrl: "http://127.0.0.1:18099", headers: { key: "hunter2" } });
const form = new FormData();
form.set("key", "hunter2");
const calls = [
  session.post("orders", { json: { key: "hunter2" } }),
  session.post("orders"),
  session.put("orders", { body: new Blob(["hunter2"]) }),
  session.patch("orders", { body: form }),
  session.delete("orders", { form: { key: "hunter2" } }),
  session.get("orders"),
];
for (const result of await Promise.allSettled(calls)) {
  const { kind, outcome, retriable, message } = result.status === "rejected" ? result.reason : {};
  console.log([kind, outcome, retriable, message].join(" | "));
}
await session.close();
