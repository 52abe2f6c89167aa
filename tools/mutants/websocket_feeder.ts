/**
 * Ways to break a feed over WebSocket.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const feeder = breaking("websocket_feeder.ts");
const backoff = breaking("websocket_feeder/backoff.ts");
const connection = breaking("websocket_feeder/connection.ts");
const delivery = breaking("websocket_feeder/delivery.ts");
const establish = breaking("websocket_feeder/establish.ts");
const fingerprint = breaking("websocket_feeder/fingerprint.ts");
const handover = breaking("websocket_feeder/handover.ts");
const lifecycle = breaking("websocket_feeder/lifecycle.ts");
const options = breaking("websocket_feeder/options.ts");
const questions = breaking("websocket_feeder/questions.ts");
const reader = breaking("websocket_feeder/reader.ts");
const refusal = breaking("websocket_feeder/refusal.ts");
const repairs = breaking("websocket_feeder/repairs.ts");
const replacement = breaking("websocket_feeder/replacement.ts");
const subscriptions = breaking("websocket_feeder/subscriptions.ts");
const wanted = breaking("websocket_feeder/wanted.ts");

/** The mutants of `websocket_feeder.ts` and its cupboards. */
export const room: Room = {
  tests: [
    "tests/websocket_feeder_gap_test.ts",
    "tests/websocket_feeder_test.ts",
    "tests/websocket_feeder/",
  ],
  mutants: [
    // The waits between attempts
    backoff("the waits do not double", ["this.#repeats, MAX_DOUBLINGS)", "0, MAX_DOUBLINGS)"]),
    backoff("maxWait does not bound the waits", [
      ", MAX_DOUBLINGS), maxWait)",
      ", MAX_DOUBLINGS), Infinity)",
    ]),
    backoff("the doubling overflows", [
      "2 ** Math.min(this.#repeats, MAX_DOUBLINGS)",
      "2 ** this.#repeats",
    ]),
    backoff("jitter shortens the venue's own wait", [
      "Math.max(wait * (1 - jitter * Math.random()), retryAfter)",
      "Math.max(wait, retryAfter) * (1 - jitter * Math.random())",
    ]),
    backoff("the venue's own wait is ignored", [
      "Math.max(wait * (1 - jitter * Math.random()), retryAfter)",
      "wait * (1 - jitter * Math.random())",
    ]),
    backoff("a wait of more than 2^31 ms is not clamped", ["Math.min(delay, MAX_TIMER)", "delay"]),
    backoff("a connection that was never live starts the count again", ["uptime > 0 && ", ""]),
    backoff("a stable connection does not start the count again", [
      "if (uptime > 0 && uptime >= resetRetryAfter) this.reset();",
      "",
    ]),
    backoff("one repeat too many", ["this.#repeats >= maxRetries", "this.#repeats > maxRetries"]),

    // One connection
    connection("a frame goes into a socket that is not open", [
      "    if (!this.open) return false;\n    this.#socket!.send",
      "    this.#socket!.send",
    ]),
    connection("send() says that nothing is sent", [
      "    void this.paced(() => this.write(frame), true);\n    return true;",
      "    void this.paced(() => this.write(frame), true);\n    return false;",
    ]),
    connection("send() waits behind subscriptions", [
      "void this.paced(() => this.write(frame), true);",
      "void this.paced(() => this.write(frame), false);",
    ]),
    connection("frames are not paced", [
      "if (pace) await pace.run(callback, { signal: this.signal, urgent });",
      "if (false) await pace!.run(callback, { signal: this.signal, urgent });",
    ]),
    connection("a frame that waits for its pace outlives the connection", [
      "{ signal: this.signal, urgent }",
      "{ urgent }",
    ]),
    connection("the second ending counts", [
      "    if (this.ending) return;\n    const { code = 1006",
      "    const { code = 1006",
    ]),
    connection("a reason is empty", ["reason: reason || inWords(code, this.#opened)", "reason"]),
    connection("ending.opened is false", [
      "      opened: this.#opened,\n",
      "      opened: false,\n",
    ]),
    connection("ending.opened is true", ["      opened: this.#opened,\n", "      opened: true,\n"]),
    connection("timers outlive the connection", [
      "    for (const timer of this.#timers) clearTimeout(timer);\n",
      "",
    ]),
    connection("a dead socket is still heard", [
      "    if (this.#socket) discard(this.#socket);\n",
      "",
    ]),
    connection("the signal does not abort", ["    this.#controller.abort();\n", ""]),
    connection("questions outlive the connection", [
      "    this.#questions.endAll(kind, `the connection ended (${this.ending.reason})`);\n",
      "",
    ]),
    connection("an error while connecting is not heard (Node 22)", [
      "    socket.onerror = (event) => this.end(describe(event, watch?.refusal));\n",
      "",
    ]),
    connection("bytes come as a Blob", ['    socket.binaryType = "arraybuffer";\n', ""]),
    connection("frames are not tapped on their way in", [
      '      if (this.#options.tap) this.#tap("in", event.data);\n',
      "",
    ]),
    connection("frames are not tapped on their way out", [
      '    if (this.#options.tap) this.#tap("out", frame);\n',
      "",
    ]),
    connection("a tap that throws ends what it listens to", [
      '      this.#options.report("Cannot tap a frame: tap() threw", error);',
      "      throw error;",
    ]),
    connection("silence is noticed twice as late", [
      "staleAfter / SILENT_TICKS",
      "2 * staleAfter / SILENT_TICKS",
    ]),
    connection("silence is noticed too early", [
      "if (++silentTicks > SILENT_TICKS)",
      "if (++silentTicks >= SILENT_TICKS)",
    ]),
    connection("a frame does not end the silence", [
      "if (this.frames !== frames) silentTicks = 0;",
      "",
    ]),
    connection("the close frame has no code", [
      'this.#socket!.close(1000, "");',
      "this.#socket!.close();",
    ]),
    connection("a frame is heard after close()", ["    this.#socket!.onmessage = null;\n", ""]),
    connection("a question is sent behind subscriptions", [
      "{ signal: question.signal, urgent: true }",
      "{ signal: question.signal }",
    ]),
    connection("a question that is over is sent", ["      if (!question.isOpen) return;\n", ""]),
    connection("a frame that a socket refused may be called not-sent", [
      "      question.sent();\n      this.write(frame);",
      "      this.write(frame);\n      question.sent();",
    ]),
    connection("a timer of more than 2^31 ms fires at once", [
      "    }, Math.min(timeout, MAX_TIMER));",
      "    }, timeout);",
    ]),

    // Items
    delivery("an item that came with the login comes before live", [
      "if (held) return held.push(item) < 0;",
      "",
    ]),
    delivery("the caller of connect() has no turn before the first item", [
      "for (let i = 0; i < TURNS; i++) await null;",
      "",
    ]),
    delivery("items of a login that failed are delivered", [
      "  drop(connection: Connection): void {\n",
      "  drop(connection: Connection): void {\n    this.flush(connection);\n",
    ]),
    delivery("an item without identity comes once", [
      "    if (id === undefined) return true;\n",
      "",
    ]),

    // Dialling
    establish("connectTimeout is not kept", [
      "() => connection.end({ reason: `not live within ${connectTimeout} ms` }),",
      "() => {},",
    ]),
    establish("connectTimeout counts the wait for dials", [
      "  if (dials && !connection.ending) {\n",
      "  connection.after(connectTimeout, () => connection.end({ reason: `not live within ${connectTimeout} ms` }));\n  if (dials && !connection.ending) {\n",
    ]),
    establish("connectTimeout ends a live connection", ["  stopTimer();\n", ""]),
    establish("dials are not asked", [
      "await dials.run(() => {}, { signal: connection.signal });",
      "",
    ]),
    establish("the status of endpoint() is lost", [
      '...(typeof status === "number" && { status }),',
      "",
    ]),
    establish("silence is not watched", [
      "  if (staleAfter > 0) connection.watch(staleAfter);\n",
      "",
    ]),
    establish("ping() is not sent", [
      'if (frame !== undefined) await connection.paced(() => void connection.write(frame), true);\n    } catch (error) {\n      if (!connection.ending) host.threw("ping", error);',
      '} catch (error) {\n      if (!connection.ending) host.threw("ping", error);',
    ]),
    establish("a ping is joined by another while it waits", ["    if (isWaiting) return;\n", ""]),
    establish("a ping() that throws is not reported", [
      'if (!connection.ending) host.threw("ping", error);',
      "",
    ]),
    establish("goodbye() is not sent", [
      "    const frame: Frame | undefined = await host.goodbye(connection);\n",
      "    const frame = await undefined as Frame | undefined;\n",
    ]),
    establish("closeTimeout is not kept", [
      'connection.after(closeTimeout, () => connection.end({ reason: "closed by us, unanswered" }));',
      "",
    ]),
    establish("a goodbye does not wait for the answers that are due", [
      "  await connection.answered();\n",
      "",
    ]),

    // Keys
    fingerprint("a key depends on the order of properties", [
      ".sort(([a], [b]) => a < b ? -1 : 1)",
      "",
    ]),
    fingerprint("an object of another content is the same", [
      "fingerprint(a) === fingerprint(b)",
      "true",
    ]),
    fingerprint("an object of the same content is another", [
      "a === b || (typeof",
      "a === b || false && (typeof",
    ]),

    // One connection after another

    // The states
    lifecycle("reconnect() may be called without end", ["    if (this.#isAsked) return;\n", ""]),
    lifecycle("reconnect() counts on", ["      this.#backoff.reset();\n", ""]),
    lifecycle("close() of an idle feed never ends", [
      '    if (state === "idle") return this.#finish();\n',
      "",
    ]),
    lifecycle("a live connection is closed without a goodbye", [
      "if (connection.isLive) void part(connection, this.#host, this.#options.closeTimeout);\n      else connection.leave();",
      "connection.leave();",
    ]),
    lifecycle("a connection that ended stays in the list", [
      "    this.#connections.delete(connection);\n",
      "",
    ]),
    lifecycle("a fatal ending is repeated", [
      "if (!repeat || !error.retriable) return",
      "if (!repeat) return",
    ]),
    lifecycle("a feed that gives up does not end", [
      "if (!repeat || !error.retriable) return this.#finish(error);",
      "if (!repeat || !error.retriable) return;",
    ]),
    lifecycle("a feed that isFatal() has closed dials again", [
      "    if (this.connection !== connection) return; // isFatal() has closed the feed\n",
      "",
    ]),
    lifecycle("the first failure is not told", [
      '    if (isFirst) this.#host.tell("error", error);\n',
      "",
    ]),
    lifecycle("each failure is told to error", ["    this.#isTold = true;\n", ""]),
    lifecycle("retry is not told", [
      'if (this.#phase.state === "waiting") this.#host.tell("retry"',
      'if (false) this.#host.tell("retry"',
    ]),
    lifecycle("the timer of a wait is left", [
      '    if (previous.state === "waiting") clearTimeout(previous.timer);\n',
      "",
    ]),
    lifecycle("a connection that is ready does not take over", [
      "      if (replacement.ready) return void this.#swap(connection, replacement.ready);\n",
      "",
    ]),
    lifecycle("downtime is 0", ["performance.now() - this.#lostAt;", "0;"]),
    lifecycle("a replacement begins a life of its own", [
      "    next.liveSince = old.liveSince; // to the feed, it is one life\n",
      "",
    ]),
    lifecycle("an isFatal() that throws ends the feed", [
      '      this.#host.report("Cannot tell whether an ending is fatal: isFatal() threw", error);',
      "      fatal = true;",
    ]),
    lifecycle("the uptime is lost", [
      "{ cause, ending, uptime, fatal }",
      "{ cause, ending, fatal }",
    ]),

    // Options
    options("a connectTimeout of 0 is let in", [
      "connectTimeout: { above: true, unit",
      "connectTimeout: { unit",
    ]),
    options("a jitter above 1 is let in", ["jitter: { max: 1 }", "jitter: {}"]),
    options("a fraction of a repeat is let in", [
      "maxRetries: { integer: true }",
      "maxRetries: {}",
    ]),
    options("a pace that is none is let in", [
      'value !== undefined && typeof value?.run !== "function"',
      "false",
    ]),
    options("a signal that is none is let in", ['  checkSignal(task, "signal", signal);\n', ""]),
    options("a tap that is none is let in", ['  checkFunction(task, "tap", tap);\n', ""]),

    options("a batch of 0 is let in", ['  checkNumber(task, "batch", batch, { min: 1 });\n', ""]),
    options("a ping() without pingInterval is let in", [
      "if (has.ping && pingInterval === undefined) {",
      "if (false) {",
    ]),
    options("a pingInterval without ping() is let in", [
      "if (!has.ping && pingInterval) {",
      "if (false) {",
    ]),
    options("a quietAfter without keyOf() is let in", [
      "if (!has.keyOf && quietAfter !== 0) {",
      "if (false) {",
    ]),

    delivery("an item that came with the login is lost", [
      'i < held.length && connection.stage === "current"',
      "i < 0",
    ]),
    delivery("an item that came with the login outlives its connection", [
      'i < held.length && connection.stage === "current"',
      "i < held.length",
    ]),
    delivery("items of a connection that is muted are delivered", [
      "      if (connection.isMuted) return false;\n",
      "",
    ]),
    subscriptions("a key that is refused is still dropped", [
      "    this.#unconfirmed.delete(key);\n    this.#drop.delete(key);\n    this.#add.delete(key);\n    this.#tellDone();",
      "    this.#unconfirmed.delete(key);\n    this.#add.delete(key);\n    this.#tellDone();",
    ]),
    reader("frames are not counted", ["    this.#hooks.stats.frames++;\n", ""]),
    replacement("items of the old connection come for as long as answers are due", [
      '    if (old.stage === "replaced") old.move("muted");\n',
      "",
    ]),

    // Questions
    questions("a question that was answered may have been lost", [
      'this.isSent ? "unknown" : "not-sent"',
      '"unknown"',
    ]),
    questions("an order that left is called not-sent", [
      'this.isSent ? "unknown" : "not-sent"',
      '"not-sent"',
    ]),
    questions("an id is used twice at a time", [
      "const isTaken = this.#open.has(id);",
      "const isTaken = false;",
    ]),
    questions("an answer that nobody awaits ends the process", [
      "    this.promise.catch(() => {}); // an answer without a reader must not end the process\n",
      "",
    ]),
    questions("an abort is not heard", [
      '    signal?.addEventListener("abort", this.#onAbort);\n',
      "",
    ]),
    questions("a listener is left on the signal", [
      '    this.#signal?.removeEventListener("abort", this.#onAbort);\n',
      "",
    ]),
    questions("a timer is left", [
      "    this.isOpen = false;\n    clearTimeout(this.#timer);\n",
      "    this.isOpen = false;\n",
    ]),
    questions("the timeout is not counted anew once the frame has left", [
      "    this.isSent = true;\n    this.#startTimer();",
      "    this.isSent = true;",
    ]),
    questions("the late answer to an older question is taken", [
      "if (question?.isSent) settle(question);",
      "if (question) settle(question);",
    ]),
    questions("an answer before its expect is lost", [
      "else if (this.#early && this.#early.size < MOST_EARLY) this.#early.set(id, settle);",
      "",
    ]),
    questions("answers are kept after the login", ["    this.#early = undefined;\n", ""]),
    questions("an end leaves questions open", [
      "for (const question of [...this.#open.values()]) question.refuse(kind, why);",
      "",
    ]),
    questions("a question stays in the list once it is answered", [
      "    this.#open.delete(id);\n",
      "",
    ]),
    questions("nobody hears that all is answered", ["    this.#idle?.resolve();\n", ""]),
    questions("a negative timeout is let in", [
      '    checkNumber("Cannot ask", "timeout", timeout, { above: true, unit: "milliseconds" });\n',
      "",
    ]),

    // Frames in order
    reader("frames do not wait for a promise", [
      "if (this.reading === undefined) this.#start",
      "if (true) this.#start",
    ]),
    reader("a receive() that throws is not reported", [
      "    } catch (error) {\n      this.#hooks.threw(error);",
      "    } catch {\n      // lost",
    ]),
    reader("a rejection of receive() is not reported", [
      "if (!connection.ending) this.#hooks.threw(error);",
      "",
    ]),
    reader("a rejection after the end is reported", [
      "if (!connection.ending) this.#hooks.threw(error);",
      "this.#hooks.threw(error);",
    ]),
    reader("frames of a connection that ended are read", [
      "if (!connection.ending) this.#start(connection, data);",
      "this.#start(connection, data);",
    ]),
    reader("a frame that never ends blocks all that follow", [
      "this.#timer = setTimeout(() => this.#next(turn)",
      "this.#timer = setTimeout(() => {}",
    ]),
    reader("a timer is left", [
      "  close(): void {\n    clearTimeout(this.#timer);\n",
      "  close(): void {\n",
    ]),
    reader("a hook that ran is taken for the one that runs", [
      "    } finally {\n      this.hook = outer;",
      "    } finally {\n      void outer;",
    ]),

    // Why there is no connection
    refusal("an address is shown", ['message.replaceAll(/wss?:[^\\s\']*/gi, "…")', "message"]),
    refusal("the status in a message is not read", [
      "  if (told !== undefined) return { reason, status: Number(told) };\n",
      "",
    ]),
    refusal("the status that is known from elsewhere is not used", [
      "  if (!refusal) return { reason };\n",
      "  return { reason };\n",
    ]),
    refusal("the words of the package ws are not read", [
      "/(?:status code|server response):",
      "/(?:status code):",
    ]),
    refusal("an answer to another address counts", [
      "    if (String(request.origin) !== origin || request.path !== pathname + search) return;\n",
      "",
    ]),
    refusal("an answer to other headers counts", [
      "    if (!wanted.every((line) => sent.includes(line))) return;\n",
      "",
    ]),
    refusal("Retry-After of a refused upgrade is not read", [
      "retryAfter(line?.slice(prefix.length) ?? null)",
      "undefined as number | undefined",
    ]),
    replacement("Retry-After of a refused upgrade is ignored", [
      "} = Object(ending);",
      "} = {} as { retryAfter?: number };",
    ]),
    subscriptions("a request may take for ever", [
      "this.#connection.after(patience, () => this.#connection.end({ reason }))",
      "() => {}",
    ]),
    subscriptions("a request that came in time ends the connection later", [
      "        stop();\n",
      "",
    ]),
    refusal("the channel is listened to for ever", [
      'stop: () => channel.unsubscribe("undici:request:headers", listener),',
      "stop: () => {},",
    ]),

    // Repairs
    repairs("every repair is made at once", [
      "    if (count >= MOST_REPAIRS) return LONG_WAIT;\n    return Math.min(BASE_WAIT * 2 ** (count - 1), this.#options.maxWait);",
      "    return 0;",
    ]),
    repairs("maxWait does not bound the repairs", [
      "Math.min(BASE_WAIT * 2 ** (count - 1), this.#options.maxWait)",
      "BASE_WAIT * 2 ** (count - 1)",
    ]),
    repairs("repairs never take the long wait", [
      "    if (count >= MOST_REPAIRS) return LONG_WAIT;\n",
      "",
    ]),
    repairs("a repair that waits is joined by another", [
      "    if (planned.isWaiting && hold === undefined) return 0;\n",
      "",
    ]),
    repairs("what is held may be asked for", [
      "return this.#repairs.get(key)?.isHeld === true;",
      "return false;",
    ]),
    repairs("a new connection asks for what is held", [
      "if (!isWaiting || isHeld) continue;",
      "if (!isWaiting) continue;",
    ]),
    repairs("a key that was left alone does not count anew", [
      "() => this.#repairs.delete(key),",
      "() => {},",
    ]),
    repairs("timers are left", [
      "for (const { timer } of this.#repairs.values()) clearTimeout(timer);",
      "",
    ]),

    // Replacement
    replacement("the old connection is left at once", ["    await old.lasts(overlap);\n", ""]),
    replacement("a question over the old connection is not waited for", [
      "    await Promise.race([old.answered(), old.lasts(connectTimeout)]);\n",
      "",
    ]),
    replacement("a fatal refusal of the next connection is repeated", [
      "if (!error.retriable) return this",
      "if (false) return this",
    ]),
    replacement("a failed replacement is not told", [
      '      this.#crew.tell("retry", { attempt, delay, ending: next.ending });\n',
      "",
    ]),
    replacement("a failed replacement is repeated at once", [
      "      await old.lasts(delay);\n",
      "      await null;\n",
    ]),
    replacement("a failed replacement leaves items to be told apart", [
      "    crew.handOver(undefined);\n",
      "",
    ]),
    replacement("a replacement is never replaced", ["    crew.keep(next);\n", ""]),
    replacement("the next connection outlives the old one's end", [
      'if (this.#old.stage === "current") this.#next?.end({ reason });',
      "",
    ]),
    replacement("retryAfter of a cause is not read", [
      "cause.retryAfter ?? Object(cause.cause).retryAfter",
      "cause.retryAfter",
    ]),

    // Subscriptions
    subscriptions("the batch is not kept", [
      "      if (subs.length >= this.#asking.batch) break;\n",
      "",
    ]),
    subscriptions("what is undone within a turn is asked for", [
      "    await null; // a change that is undone within the same turn never reaches the wire\n",
      "",
    ]),
    subscriptions("what is held is asked for again", [
      "!anew && isSame(sent, wanted)",
      "!anew && false",
    ]),
    subscriptions("resubscribe() asks for nothing", [
      "wanted !== undefined && !anew && isSame",
      "wanted !== undefined && isSame",
    ]),
    subscriptions("another depth of a book does not drop the old one first", [
      "    if (sent !== undefined) this.#drop.add(key);\n",
      "",
    ]),
    subscriptions("a pace that refuses loses the subscription", [
      'if (!isSent) connection.end({ reason: "pace refused a frame" });',
      "if (!isSent) return;",
    ]),
    subscriptions("what is late is not asked for again", [
      "if (times < MOST_ASKS && !this.#drop.has(key)) this",
      "if (false) this",
    ]),
    subscriptions("what is late is asked for without end", [
      "const lost = late.filter(([, { times }]) => times >= MOST_ASKS)",
      "const lost = late.filter(() => false)",
    ]),
    subscriptions("the wait for a confirmation does not grow", [
      "confirmTimeout * 2 ** (longest - 1)",
      "confirmTimeout",
    ]),
    subscriptions("a confirmation is not noted", [
      "    if (!this.#unconfirmed.delete(key)) return;\n",
      "    if (this.#unconfirmed.has(key) || true) return;\n",
    ]),
    subscriptions("all is told to be done before it is confirmed", [
      "!this.#isPending && this.#unconfirmed.size === 0",
      "!this.#isPending",
    ]),

    // The feed
    feeder("replace() replaces the live connection, whichever is heard", [
      "(this.#reader.hook ?? this.#lifecycle.connection)?.retire();",
      "this.#lifecycle.connection?.retire();",
    ]),
    feeder("replace() replaces nothing", [
      "(this.#reader.hook ?? this.#lifecycle.connection)?.retire();",
      "",
    ]),
    feeder("send() in a hook goes over the live connection", [
      "return (this.#reader.hook ?? this.#lifecycle.connection)?.send(frame) ?? false;",
      "return this.#lifecycle.connection?.send(frame) ?? false;",
    ]),
    feeder("ask() goes over a connection that is being made", [
      'phase.state === "live" ? phase.connection : undefined',
      "this.#lifecycle.connection",
    ]),
    feeder("a feed that an aborted signal made is not closed", [
      "    if (signal?.aborted) this.#lifecycle.close();\n    else if (signal) {",
      "    if (signal) {",
    ]),
    feeder("the signal does not close the feed", [
      '      signal.addEventListener("abort", close);\n',
      "",
    ]),
    feeder("a listener is left on the signal", [
      '      this.closed.then(() => signal.removeEventListener("abort", close));\n',
      "",
    ]),
    feeder("connect() of a closed feed waits for ever", [
      '    if (state === "closing" || state === "closed") return Promise.reject(this.#over());\n',
      "",
    ]),
    feeder("close() does not wait", [
      "    this.#lifecycle.close();\n    await this.closed;",
      "    this.#lifecycle.close();",
    ]),
    feeder("limit is not kept", ["    if (size > limit) {\n", "    if (false) {\n"]),
    feeder("a refusal is not reported", [
      '      return this.dispatch("error", new FeedError(`Cannot subscribe to ${String(key)}: ${why}`));',
      "      return;",
    ]),
    feeder("a refusal of what is not wanted is reported", [
      "      if (!this.#wanted.refuse(key)) return;\n",
      "      this.#wanted.refuse(key);\n",
    ]),
    feeder("a fatal error of a hook ends nothing", [
      "if (error instanceof FeedError && error.fatal) {",
      "if (false) {",
    ]),
    feeder("an error of a hook is wrapped though it is the feed's own", [
      "cause instanceof FeedError ? cause : new FeedError(message, { cause })",
      "new FeedError(message, { cause })",
    ]),
    feeder("an identify() that throws loses the item", [
      '      this.#threw("identify", error);\n      return undefined;',
      "      throw error;",
    ]),
    feeder("a request() that throws is not reported", [
      'if (!connection.ending) this.#threw("request", error);',
      "",
    ]),
    feeder("subscribed is told before all is confirmed", [
      " || !this.#wanted.isWhole(connection)) return;",
      ") return;",
    ]),
    feeder("live is told for the first connection as resumed", [
      "resumed: count > 1",
      "resumed: true",
    ]),
    feeder("401 is not fatal", [
      "FATAL_CODES.has(ending.code) || FATAL_STATUSES.has(ending.status)",
      "FATAL_CODES.has(ending.code)",
    ]),
    feeder("a fatal close code is not", [
      "FATAL_CODES.has(ending.code) || FATAL_STATUSES",
      "FATAL_STATUSES",
    ]),
    feeder("items are not counted", ["    this.#stats.items++;\n", ""]),
    feeder("the reason of an abort is not what connect() rejects with", [
      "    if (signal?.aborted) return signal.reason;\n",
      "",
    ]),

    // What is wanted
    wanted("a repair of what is not wanted is made", ["if (this.all.has(key) && this", "if (this"]),
    wanted("a new connection asks for nothing", [
      "      if (!this.#repairs.isHeld(key)) subscriptions.mark(key, sub);\n",
      "",
    ]),
    wanted("a key that is refused for good stays wanted", [
      "const isThere = this.all.delete(key);\n    this.#withdraw",
      "const isThere = this.all.has(key);\n    this.#withdraw",
    ]),
    wanted("a refusal is heard on one connection only", [
      "for (const subscriptions of all) {",
      "for (const subscriptions of all.slice(0, 1)) {",
    ]),
    wanted("a dead connection is still asked", ["    this.#connections.delete(connection);\n", ""]),
    wanted("limit counts what is there already", ["if (!this.all.has(key)) size++;", "size++;"]),
    wanted("subscribed is told though some are held", [
      "return !this.#repairs.holdsAny((key) => this.all.has(key));",
      "return true;",
    ]),
    wanted("timers are left", [
      "  close(): void {\n    this.#repairs.clear();\n",
      "  close(): void {\n",
    ]),

    // Promises that several rooms keep together
    lifecycle("the loss of a live connection is told to error", [
      "this.#lostAt === undefined && !this.#isTold",
      "!this.#isTold",
    ]),
    lifecycle("downtime is counted from the last attempt", [
      "    const error = this.#failure(connection);\n",
      "    this.#lostAt = performance.now();\n    const error = this.#failure(connection);\n",
    ]),
    lifecycle("a state that stays the same is told", [
      "if (phase.state !== previous.state) this.#host.moved",
      "this.#host.moved",
    ]),
    lifecycle("a failed attempt to replace ends what it was to replace", [
      "if (this.connection === connection) this.#lose(connection);",
      "if (this.connection) this.#lose(this.connection);",
    ]),
    backoff("retryAfter is cut to maxWait", ["retryAfter);", "Math.min(retryAfter, maxWait));"]),
    connection("handshake() is called after onopen", [
      "          resolve(hooks.handshake());",
      "          resolve(Promise.resolve().then(() => hooks.handshake()));",
    ]),
    feeder("items that a handshake emits later come before live", [
      " ??\n      this.#delivery.arriving",
      "",
    ]),
    feeder("items that came before a loss are dropped", [
      "if (connection.liveSince < Infinity) this.#delivery.flush(connection);\n    else this.#delivery.drop(connection);",
      "this.#delivery.drop(connection);",
    ]),
    reader("a promise that was given up ends the wait for another", [
      "    if (turn !== this.#turn) return;\n",
      "",
    ]),
    questions("an aborted frame keeps its place in the line", ["    this.#line?.abort();\n", ""]),
    connection("a replaced connection that answers keeps its replacement waiting", [
      "    return this.frames - this.#answers;",
      "    return this.frames;",
    ]),
    subscriptions("what is confirmed is asked for again", [
      "this.#unconfirmed.get(key) === ask",
      "true",
    ]),
    subscriptions("a connection that confirms nothing is kept", [
      "      if (lost.length > 0) unconfirmed(lost, this.#connection);\n",
      "",
    ]),
    subscriptions("a slow request is written without its turn", [
      "      if (this.#isSlow && !this.#request) await this.#begin();\n",
      "",
    ]),
    subscriptions("a connection that is left is still asked", [
      '!this.#connection.ending && this.#connection.stage === "current" && this.#isPending',
      "!this.#connection.ending && this.#isPending",
    ]),
    subscriptions("a connection that is left while a frame waits is still asked", [
      "if (this.#mayAsk) begun = this.#ask();",
      "begun = this.#ask();",
    ]),
    wanted("what the venue refused for now is asked for on the next connection", [
      "      if (!this.#repairs.isHeld(key)) subscriptions.mark(key, sub);",
      "      subscriptions.mark(key, sub);",
    ]),
    wanted("subscribe() asks for what the venue refused for now", [
      "const wanted = this.#repairs.isHeld(key) ? undefined : this.all.get(key);",
      "const wanted = this.all.get(key);",
    ]),
    wanted("a repair that waits is done though a new connection has asked for all", [
      "    if (this.#connections.size === 0) this.#repairs.settle();\n",
      "",
    ]),
    repairs("retryAfter of a refusal is ignored", [
      "Math.max(this.#backoff(planned.count), hold ?? 0)",
      "this.#backoff(planned.count)",
    ]),
    feeder("subscribed is told more than once", ["    this.#untold = undefined;\n", ""]),
    handover("a silent replacement takes over", [
      "if (next.news > before && (isProven || isLate())) return;",
      "return;",
    ]),
    options("a ping() without pingInterval never pings", [
      "if (has.ping && pingInterval === undefined) {",
      "if (has.ping && pingInterval === -1) {",
    ]),
    options("a pingInterval of 0 is refused", [
      "has.ping && pingInterval === undefined",
      "has.ping && !pingInterval",
    ]),
  ],
};
