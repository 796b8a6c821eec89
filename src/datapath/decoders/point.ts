// Where decoding can begin anew: at the end of an xz block, of a zst frame, of a gz member.

/** Plain data, so that it can be kept as JSON and given to another process. */
export interface DecodePoint {
  /** Encoded bytes before it. */
  readonly inputBytes: number;
  /** Decoded bytes before it. */
  readonly outputBytes: number;
  /** What the decoder has to know beside the bytes; its own business. */
  readonly state?: string;
}

export interface DecodeResume {
  /** The input begins at this point, not at the first byte. Default: at the first. */
  readonly from?: DecodePoint | undefined;
  /**
   * Told of each point behind `from`, in order, as soon as the decoder knows it: that may be before the bytes up to it were
   * read from its output, and before they were found undamaged. It holds once `outputBytes` of output have been read. Small
   * members make many: it must be cheap.
   */
  readonly onPoint?: ((point: DecodePoint) => void) | undefined;
}

/** The bytes behind a point cannot be decoded from there after all: from the first byte they can. Ends the output as its error. */
export class PointUnusable extends Error {
  constructor(why: string) {
    super(why);
    this.name = "PointUnusable";
  }
}
