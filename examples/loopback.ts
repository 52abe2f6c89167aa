/**
 * What every simulated venue here stands on: one port on 127.0.0.1 for HTTP and WebSocket, and the
 * faults that real venues have, on a schedule or on command.
 *
 * @module
 */

/**
 * What can happen to the clients of a venue:
 *
 * - `drop`: every socket is closed with 1012, as for a restart
 * - `refuse`: the next upgrade is answered with 503
 * - `silence`: every socket stays open and says nothing more
 * - `corrupt`: the next frame is wrong in a way that only the venue's own check can show
 * - `throttle`: the next HTTP request is answered with 429 and Retry-After
 */
export type Fault = "drop" | "refuse" | "silence" | "corrupt" | "throttle";

/** A fault and its time. */
export interface ScheduledFault {
  /** When, in milliseconds after the first subscription. It waits for a client it can strike. */
  readonly at: number;
  /** What. */
  readonly fault: Fault;
}

/** Options of every simulated venue. */
export interface LoopbackOptions {
  /**
   * Where the random numbers start: the same seed gives the same market.
   *
   * @default {1}
   */
  readonly seed?: number;
  /**
   * Time between two steps of the market, in milliseconds. `0`: it stands still but for `step()`.
   *
   * @default {20}
   */
  readonly interval?: number;
  /** Faults that happen by themselves, in this order. */
  readonly faults?: readonly ScheduledFault[];
  /** Called when a fault has struck. */
  readonly onFault?: (fault: Fault) => void;
}

/** One client's socket, as the venue sees it. */
export abstract class Connection {
  /** `true` once `silence` has struck: nothing is sent any more. */
  silent = false;
  readonly #socket: WebSocket;

  /**
   * Takes over a socket that is not open yet.
   *
   * @param socket The venue's end.
   */
  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** Whether the client has asked for anything: only then do the scheduled faults strike. */
  abstract readonly subscribed: boolean;

  /** Whether a frame sent now would leave. */
  get alive(): boolean {
    return !this.silent && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Called once the socket is open. */
  abstract greet(): void;

  /**
   * Called for every frame of the client.
   *
   * @param frame Text or bytes.
   */
  abstract receive(frame: string | ArrayBuffer): void;

  /**
   * Sends a frame, if the socket is open and not struck by `silence`.
   *
   * @param frame Text or bytes.
   */
  send(frame: string | ArrayBuffer): void {
    if (this.alive) this.#socket.send(frame);
  }

  /**
   * Starts the closing handshake.
   *
   * @param code A close code, 1012 included.
   * @param reason Why, for the client.
   */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}

/**
 * A venue on 127.0.0.1, listening from its construction until `close()`.
 *
 * A subclass says what the venue is: what it answers, what a connection does, and how its market
 * steps.
 */
export abstract class LoopbackVenue<C extends Connection = Connection> implements AsyncDisposable {
  /** The clients that are connected now. */
  readonly connections: Set<C> = new Set();
  /** What has happened so far. */
  readonly stats = {
    /** HTTP requests other than upgrades. */
    requests: 0,
    /** Those of them that were answered with 429. */
    throttled: 0,
    /** Upgrades that were granted. */
    accepted: 0,
    /** Upgrades that were answered with 503. */
    refused: 0,
  };
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #timers = new Set<ReturnType<typeof setInterval>>();
  readonly #market: ReturnType<typeof setInterval> | undefined;
  readonly #scheduled: ScheduledFault[];
  readonly #onFault: (fault: Fault) => void;
  readonly #armed: Record<"refuse" | "throttle", number> = { refuse: 0, throttle: 0 };
  #firstSubscription: number | undefined;

  /**
   * Starts listening.
   *
   * @param options What the simulators have in common.
   */
  constructor({ interval = 20, faults = [], onFault = () => {} }: LoopbackOptions = {}) {
    this.#scheduled = [...faults];
    this.#onFault = onFault;
    const listen = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(listen, (request) => this.#serve(request));
    if (interval > 0) this.#market = this.every(interval, () => this.step());
    if (faults.length > 0) this.every(10, () => this.#strike());
  }

  /** The address of its HTTP side, without a path. */
  get httpUrl(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The address of its WebSocket side, without a path. */
  get wsUrl(): string {
    return `ws://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Faults of the schedule that have not struck yet. */
  get pending(): number {
    return this.#scheduled.length;
  }

  /** Lets the market move once, and tells everyone who subscribed. */
  abstract step(): void;

  /** Makes the next frame wrong, as the fault `corrupt` says. */
  protected abstract corrupt(): void;

  /**
   * Answers a request that is not an upgrade.
   *
   * @param request The request.
   * @returns The answer.
   */
  protected abstract respond(request: Request): Response | Promise<Response>;

  /**
   * The answer to a request that comes too early.
   *
   * @param retryAfter Seconds until it may come again.
   * @returns A 429 in the venue's own words.
   */
  protected abstract tooMany(retryAfter: number): Response;

  /**
   * Takes on a client, or turns it away.
   *
   * @param socket The venue's end of the socket, not open yet.
   * @param request The upgrade, with its path and its query.
   * @returns The connection.
   */
  protected abstract connect(socket: WebSocket, request: Request): C;

  /**
   * Looks at an upgrade before it is granted.
   *
   * @param _request The upgrade, with its path and its query.
   * @returns An answer that refuses it, or nothing.
   */
  protected admit(_request: Request): Response | undefined {
    return undefined;
  }

  /**
   * Calls a function again and again, until the venue closes.
   *
   * @param interval Time between two calls, in milliseconds.
   * @param fn The function.
   * @returns The timer.
   */
  protected every(interval: number, fn: () => void): ReturnType<typeof setInterval> {
    const timer = setInterval(fn, interval);
    this.#timers.add(timer);
    return timer;
  }

  /** Lets the market stand still from now on, but for `step()`: its book can be compared then. */
  freeze(): void {
    clearInterval(this.#market);
  }

  /**
   * Lets a fault strike now.
   *
   * @param fault Which one.
   */
  inflict(fault: Fault): void {
    if (fault === "corrupt") this.corrupt();
    else if (fault === "refuse" || fault === "throttle") this.#armed[fault]++;
    for (const connection of this.connections) {
      if (fault === "silence") connection.silent = true;
      else if (fault === "drop") connection.close(1012, "Service restart");
    }
    this.#onFault(fault);
  }

  /** Closes every socket with 1001 and stops listening. Idempotent. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#server.shutdown();
  }

  /** Closes the venue. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #serve(request: Request): Response | Promise<Response> {
    if (request.headers.get("upgrade") !== "websocket") {
      this.stats.requests++;
      const response = this.#spend("throttle") ? this.tooMany(1) : this.respond(request);
      if (response instanceof Response && response.status === 429) this.stats.throttled++;
      return response;
    }
    if (this.#spend("refuse")) {
      this.stats.refused++;
      return new Response("Service unavailable", { status: 503 });
    }
    return this.admit(request) ?? this.#upgrade(request);
  }

  #upgrade(request: Request): Response {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    socket.binaryType = "arraybuffer";
    const connection = this.connect(socket, request);
    socket.onopen = () => {
      this.stats.accepted++;
      this.connections.add(connection);
      connection.greet();
    };
    socket.onmessage = ({ data }) => connection.receive(data);
    socket.onclose = () => this.connections.delete(connection);
    // A client that goes without a closing handshake is followed by `close` all the same.
    socket.onerror = () => {};
    return response;
  }

  #spend(fault: "refuse" | "throttle"): boolean {
    if (this.#armed[fault] === 0) return false;
    this.#armed[fault]--;
    return true;
  }

  /** Strikes with the faults that are due, as soon as there is a client to survive them. */
  #strike(): void {
    const ready = () => [...this.connections].some((one) => one.subscribed && one.alive);
    if (!ready()) return;
    this.#firstSubscription ??= performance.now();
    const elapsed = performance.now() - this.#firstSubscription;
    while (this.#scheduled.length > 0 && this.#scheduled[0].at <= elapsed && ready()) {
      this.inflict(this.#scheduled.shift()!.fault);
    }
  }
}
