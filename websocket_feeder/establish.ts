/**
 * How a connection is made, kept and left: from the dial to the login, and from the goodbye to the
 * close. Internal.
 *
 * @module
 */

import type { Connection, Frame } from "./connection.ts";
import type { Host } from "./host.ts";
import type { Endpoint, FeedOptions } from "./options.ts";
import { watchUpgrade } from "./refusal.ts";

/**
 * Makes a connection: dials, logs in, starts its timers.
 *
 * @param connection The connection, which has not begun.
 * @param host Whose hooks are called.
 * @param options How long it may take.
 * @returns A promise that never rejects: whether the connection is logged in. If not, it has ended.
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
    connection.end({
      cause,
      reason: `endpoint(), createSocket() or handshake() threw ${name}`,
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

/** Sends what `ping()` returns, time and again; one that waits for its pace is not joined by another. */
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
 * Leaves a connection: waits for the answers that are due, sends `goodbye()` and closes the socket.
 *
 * @param connection The connection. It ends within `closeTimeout`.
 * @param host Whose hook is called.
 * @param closeTimeout How long all of this may take, in milliseconds.
 */
export async function part(
  connection: Connection,
  host: Host,
  closeTimeout: number,
): Promise<void> {
  if (connection.isParting) return;
  connection.isLeft = connection.isParting = true;
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
