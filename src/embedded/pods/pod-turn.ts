// A pod's turn among those that run at once: taken for the first of its containers that runs, given back when none does.

export interface PodTurn {
  /** Resolves when the pod's turn has come, or it needs none. @throws what `take` throws; then nothing is held */
  enter(needsNone: boolean): Promise<void>;
  leave: () => void;
  /** Whoever runs has nothing to do for a while: other pods go first, and the next container to enter takes a turn again. */
  rest: () => void;
}

/** @param take waits for a turn, and returns what gives it back */
export function podTurn(take: () => Promise<() => void>): PodTurn {
  let turn: Promise<() => void> | undefined;
  let active = 0;
  function rest(): void {
    const held = turn;
    turn = undefined;
    held?.then(
      (release) => release(),
      () => undefined, // its turn never came
    );
  }
  function leave(): void {
    active -= 1;
    if (active === 0) rest();
  }
  return {
    async enter(needsNone) {
      active += 1;
      if (!needsNone) turn ??= take();
      try {
        await turn;
      } catch (cause) {
        leave();
        throw cause;
      }
    },
    leave,
    rest,
  };
}
