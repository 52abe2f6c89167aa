/**
 * Makes, keeps and leaves a connection: dial, login, pings, goodbye, close. Internal.
 *
 * @module
 */

import { BrokerError } from "../common/broker_error.ts";
import { FeedError } from "../feeder.ts";
import type { Connection, Frame } from "./connection.ts";
import type { Host } from "./host.ts";
import type { Endpoint, FeedOptions } from "./options.ts";
import { watchUpgrade } from "./refusal.ts";

/**
 * Makes a connection: dials, logs in, starts the timers.
 *
 * @param connection A new connection.
 * @param host The feed.
 * @param options The options of the feed.
 * @returns A promise that never rejects. It resolves to `true` if the connection is logged in. Else
 *   the connection has ended.
 */
export async function establish(
  connection: Connection,
  host: Host,
  options: FeedOptions,
): Promise<boolean> {
  const { dials, connectTimeout, staleAfter, pingInterval = 0 } = options;
  if (dials && !connection.ending) {
    try {
      await dials.run(() => {}, { signal: connection.signal });
    } catch (cause) {
      connection.end({ cause, reason: "dials refused the attempt" });
    }
  }
  if (connection.ending) return false;
  const stopTimer = connection.after(
    connectTimeout,
    () => connection.end({ reason: `not live within ${connectTimeout} ms` }),
  );
  try {
    const endpoint = await connection.unlessEnded(host.endpoint(connection.signal));
    await dial(connection, host, endpoint);
  } catch (cause) {
    const { name, status } = Object(cause);
    // Texts of other errors may hold a token.
    const isOurs = cause instanceof BrokerError || cause instanceof FeedError;
    const words = isOurs ? `${name}: ${cause.message}` : name;
    connection.end({
      cause,
      reason: `endpoint(), createSocket() or handshake() threw ${words}`,
      ...(typeof status === "number" && { status }),
    });
    return false;
  }
  stopTimer();
  if (connection.ending) return false;
  connection.goLive();
  if (staleAfter > 0) connection.watch(staleAfter);
  if (pingInterval > 0) keepPinging(connection, host, pingInterval);
  return true;
}

async function dial(
  connection: Connection,
  host: Host,
  endpoint: string | URL | Endpoint,
): Promise<void> {
  const { url, ...init } = typeof endpoint === "string" || endpoint instanceof URL
    ? { url: endpoint }
    : endpoint;
  const watch = watchUpgrade(String(url), init.headers);
  try {
    await connection.attach(host.createSocket(String(url), init), {
      handshake: () => {
        watch.stop();
        return host.handshake(connection);
      },
      receive: (data) => host.receive(connection, data),
    }, watch);
  } finally {
    watch.stop();
  }
}

/** Sends the frame of `ping()` at an interval, unless the one before still waits for its pace. */
function keepPinging(connection: Connection, host: Host, interval: number): void {
  let isWaiting = false;
  connection.every(interval, async () => {
    if (isWaiting) return;
    isWaiting = true;
    try {
      const frame = await host.ping(connection);
      if (frame !== undefined) await connection.paced(() => void connection.write(frame), true);
    } catch (error) {
      if (!connection.ending) host.threw("ping", error);
    }
    isWaiting = false;
  });
}

/**
 * Leaves a connection: waits for answers that are due, sends `goodbye()` and closes the socket.
 *
 * @param connection The connection. It ends within `closeTimeout`.
 * @param host The feed.
 * @param closeTimeout Longest time, in milliseconds.
 */
export async function part(
  connection: Connection,
  host: Host,
  closeTimeout: number,
): Promise<void> {
  if (connection.stage === "parting") return;
  connection.move("parting");
  connection.after(closeTimeout, () => connection.end({ reason: "closed by us, unanswered" }));
  await connection.answered();
  try {
    const frame: Frame | undefined = await host.goodbye(connection);
    if (frame !== undefined) await connection.paced(() => void connection.write(frame), true);
  } catch (error) {
    host.report("Cannot say goodbye: goodbye() threw", error);
  }
  if (!connection.ending) connection.close();
}

/**
 * Makes a native socket.
 *
 * @param url The address.
 * @param init The protocols, and headers if there are any.
 * @returns The socket.
 * @throws {FeedError} A fatal one, if the address, a protocol or a header is invalid.
 */
export function newSocket(url: string, init: Omit<Endpoint, "url">): WebSocket {
  const { headers = {} } = init;
  const protocols = [init.protocols ?? []].flat();
  // Deno, Node and Bun take headers in an object; a browser would take that for a protocol.
  const isPlain = Object.keys(headers).length === 0;
  try {
    return new WebSocket(url, (isPlain ? protocols : { protocols, headers }) as string[]);
  } catch {
    // The cause is left out: it quotes an address or a header, and so perhaps a token.
    throw new FeedError(
      "Cannot dial: no socket can be made of what endpoint() gave, wanted a ws: or wss: URL, valid " +
        "protocols and headers, and a runtime that sends headers (Deno does from 2.5 on)",
      { fatal: true },
    );
  }
}
