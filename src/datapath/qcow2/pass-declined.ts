// The answer of a pass that cannot go on where another road can.

export class PassDeclined extends Error {
  /** Whether scratch space would have let it go on. */
  readonly needsScratch: boolean;
  constructor(why: string, needsScratch = false) {
    super(why);
    this.name = "PassDeclined";
    this.needsScratch = needsScratch;
  }
}
