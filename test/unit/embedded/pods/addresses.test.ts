// Loopback addresses for pods.
import { expect, test } from "vitest";
import { createAddresses } from "../../../../src/embedded/pods/addresses.ts";

test("each address is given once until it comes back", () => {
  const addresses = createAddresses(0);
  const taken = Array.from({ length: 600 }, () => addresses.take());
  expect(new Set(taken).size).toBe(600);
  expect(taken.every((address) => /^127\.64\.\d+\.([1-9]\d?|1\d\d|2[0-4]\d|25[0-4])$/.test(address))).toBe(true);
});

test("an earlier address is kept if it is free and one of ours", () => {
  const addresses = createAddresses(0);
  expect(addresses.take("127.70.1.2")).toBe("127.70.1.2");
  expect(addresses.take("127.70.1.2")).not.toBe("127.70.1.2");
  expect(addresses.take("127.0.0.1")).not.toBe("127.0.0.1");
  addresses.give("127.70.1.2");
  expect(addresses.take("127.70.1.2")).toBe("127.70.1.2");
});
