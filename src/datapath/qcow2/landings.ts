// What a pass has handed to its target and has not heard of yet.
import { giveBack } from "../../lib/buffers.ts";
import type { Run } from "./unpacked-runs.ts";

const MIB = 1024 * 1024;
/** Unpacked bytes on their way at most. */
const mostSentBytes = 4 * MIB;

export class Landings {
  readonly #target: (guest: number, bytes: Buffer) => Promise<void>;
  /** From the input's memory, which is the input's again with its next bytes. */
  #fromInput: Promise<void>[] = [];
  /** In memory of their own. */
  readonly #sent: { readonly landing: Promise<void>; readonly bytes: number }[] = [];
  #sentBytes = 0;

  /** @param target the bytes are the caller's again when it resolves; calls may overlap, and take effect in their order */
  constructor(target: (guest: number, bytes: Buffer) => Promise<void>) {
    this.#target = target;
  }

  /** Need not be waited for: many clusters share one turn of the event loop. */
  place(guest: number, bytes: Buffer): Promise<void> {
    const landing = this.#target(guest, bytes);
    // Heard of by who waits for it below; until then it is no unhandled failure.
    landing.catch(() => undefined);
    this.#fromInput.push(landing);
    return landing;
  }

  /** Its memory is given back once it has landed. */
  send({ guest, bytes, memory }: Run): void {
    const landing = this.#target(guest, bytes).finally(() => giveBack(memory));
    landing.catch(() => undefined);
    this.#sent.push({ landing, bytes: bytes.length });
    this.#sentBytes += bytes.length;
  }

  /** Resolves when the input's memory is needed no more. */
  async ofInput(): Promise<void> {
    if (this.#fromInput.length === 0) return;
    await Promise.all(this.#fromInput);
    this.#fromInput = [];
  }

  /** Resolves when there is room for more that is sent. */
  async someRoom(): Promise<void> {
    while (this.#sentBytes > mostSentBytes) await this.#first();
  }

  async all(): Promise<void> {
    await this.ofInput();
    while (this.#sent.length > 0) await this.#first();
  }

  /** Resolves when nobody looks at the memory any more, however that ended. */
  async over(): Promise<void> {
    await Promise.allSettled([...this.#fromInput, ...this.#sent.map(({ landing }) => landing)]);
  }

  async #first(): Promise<void> {
    const [first] = this.#sent;
    if (!first) return;
    await first.landing;
    this.#sent.shift();
    this.#sentBytes -= first.bytes;
  }
}
