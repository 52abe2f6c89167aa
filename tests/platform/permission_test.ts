import { assertEquals } from "@std/assert";
import { netDenial } from "../../platform/permission.ts";
import { networkFault } from "../../platform/network_error.ts";

/** A Deno with these states before and after it asks the user, and the hosts that it was asked for. */
function deno(before: string, after = before) {
  const asked: unknown[] = [];
  const query = (state: string) => (descriptor: object) => {
    asked.push(descriptor);
    return { state };
  };
  return { asked, Deno: { permissions: { querySync: query(before), requestSync: query(after) } } };
}

Deno.test("netDenial() lets out what is granted, at once or by the user", () => {
  for (const scope of [deno("granted"), deno("prompt", "granted"), {}, { Deno: {} }]) {
    assertEquals(netDenial("https://venue.example/x", scope), undefined);
  }
  const granted = deno("granted");
  netDenial("https://venue.example/x?key=1", granted);
  assertEquals(granted.asked, [{ name: "net", host: "venue.example:443" }], "nobody is asked");
});

Deno.test("netDenial() says what fetch would: the request was never sent, and names the host", () => {
  for (
    const [url, host] of [
      ["https://venue.example/x?key=hunter2", "venue.example:443"],
      ["http://venue.example/", "venue.example:80"],
      ["http://venue.example:8080/", "venue.example:8080"],
      ["http://[::1]:81/", "[::1]:81"],
    ]
  ) {
    for (const scope of [deno("denied"), deno("prompt"), deno("prompt", "denied")]) {
      const { isUnsent, refusal } = networkFault(netDenial(url, scope));
      const words = `Deno denies access to the network, wanted --allow-net=${host}`;
      assertEquals([isUnsent, refusal], [true, words]);
    }
  }
});

Deno.test("Session says which permission an order lacks, and the process ends by itself", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", new URL("denied.ts", import.meta.url).pathname],
    stdout: "piped",
    stderr: "null",
    signal: AbortSignal.timeout(60_000),
  });
  const { success, stdout } = await child.output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  const methods = ["POST", "POST", "PUT", "PATCH", "DELETE", "GET"];
  assertEquals(
    lines,
    methods.map((method) =>
      `invalid | not-sent | false | Cannot ${method} http://127.0.0.1:18099/orders: ` +
      "Deno denies access to the network, wanted --allow-net=127.0.0.1:18099"
    ),
  );
  assertEquals(success, true, "it had to be ended");
});
