// One upload at a time, and one in all: who may come in now.

/** "paused": an upload that comes in several requests waits for the next one. */
export type GateState = "open" | "uploading" | "paused" | "processing" | "done";

export class Gate {
  #state: GateState = "open";
  #waiting: (() => void)[] = [];
  #pause: { untilMs: number; makeWay: () => Promise<void> } | undefined;
  #cleared: Promise<void> = Promise.resolve();

  get state(): GateState {
    return this.#state;
  }
  /** Bytes are taken or worked on. */
  get isBusy(): boolean {
    return this.#state === "uploading" || this.#state === "processing";
  }

  /** Until when a paused upload keeps its place, ms since the epoch; undefined when none is paused. */
  get pausedUntilMs(): number | undefined {
    return this.#pause?.untilMs;
  }

  /** @returns the status to refuse with, undefined when the caller has come in: it must leave again */
  enter(nowMs: number): 503 | 409 | undefined {
    if (this.isBusy || (this.#pause && nowMs < this.#pause.untilMs)) return 503;
    if (this.#state === "done") return 409;
    if (this.#pause) this.#cleared = this.#pause.makeWay();
    this.#move("uploading");
    return undefined;
  }
  /** Resolves when a paused upload that had to make way is gone. */
  cleared(): Promise<void> {
    return this.#cleared;
  }
  /** Keeps the place until then; whoever comes later may have it. @param makeWay called then; never rejects */
  pause(untilMs: number, makeWay: () => Promise<void>): void {
    this.#move("paused");
    this.#pause = { untilMs, makeWay };
  }
  /** The paused upload goes on. */
  resume(): void {
    this.#move("uploading");
  }
  /** Every byte is there; what follows goes on behind the answer. */
  process(): void {
    this.#move("processing");
  }
  /** The upload came to nothing: the next one may come in. */
  reopen(): void {
    this.#move("open");
  }
  finish(): void {
    this.#move("done");
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #move(state: GateState): void {
    this.#state = state;
    this.#pause = undefined;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
