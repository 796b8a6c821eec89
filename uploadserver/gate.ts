// One upload at a time, and one in all: who may come in now.

export type GateState = "open" | "uploading" | "processing" | "done";

export class Gate {
  #state: GateState = "open";
  #waiting: (() => void)[] = [];

  get state(): GateState {
    return this.#state;
  }
  /** Bytes are taken or worked on. */
  get isBusy(): boolean {
    return this.#state === "uploading" || this.#state === "processing";
  }

  /** @returns the status to refuse with, undefined when the caller has come in: it must leave again */
  enter(): 503 | 409 | undefined {
    if (this.isBusy) return 503;
    if (this.#state === "done") return 409;
    this.#move("uploading");
    return undefined;
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
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
