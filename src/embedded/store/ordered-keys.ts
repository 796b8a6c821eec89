// Keys kept in order, so that listing a prefix is a slice.

export interface OrderedKeys {
  add(key: string): void;
  delete(key: string): void;
  startingWith(prefix: string): string[];
}

export function orderKeys(initial: Iterable<string> = []): OrderedKeys {
  const keys = [...initial].sort();
  const placeOf = (key: string): number => {
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    add(key) {
      const at = placeOf(key);
      if (keys[at] !== key) keys.splice(at, 0, key);
    },
    delete(key) {
      const at = placeOf(key);
      if (keys[at] === key) keys.splice(at, 1);
    },
    startingWith(prefix) {
      const found: string[] = [];
      for (let at = placeOf(prefix); keys[at]?.startsWith(prefix) === true; at += 1) found.push(keys[at] ?? "");
      return found;
    },
  };
}
