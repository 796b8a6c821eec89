// Which of a pending claim's events its Bound condition repeats, and when it stops.
import { expect, test } from "vitest";
import { annotations } from "../../../src/api/annotations.ts";
import { latestMessage, mirrorEvents } from "../../../src/controllers/parts/claim-events.ts";
import { about, aClaim } from "../../support/objects.ts";
import { written } from "./import-rows.ts";

const early = "2026-01-02T03:00:00Z";
const late = "2026-01-02T03:00:01Z";

test.each([
  { when: "nothing was said", events: [], says: undefined },
  { when: "the latest wins", events: [about("a long early word", early), about("new", late)], says: "new" },
  {
    when: "of one second the longest",
    events: [about("short", late), about("longer word", late)],
    says: "longer word",
  },
  {
    when: "a prime claim's words come first, without its name",
    prime: "prime-1",
    events: [about("target", late), about("[prime-1] : no room", early)],
    says: "no room",
  },
  { when: "a prime claim that was not spoken of", prime: "prime-1", events: [about("target", late)], says: undefined },
])("$when", ({ events, prime, says }) => expect(latestMessage(events, prime)).toBe(says));

const mirror = (reason: string, message: string) => ({
  [annotations.boundCondition]: "false",
  [annotations.boundConditionReason]: reason,
  [annotations.boundConditionMessage]: message,
});
const wiped = {
  [annotations.boundCondition]: null,
  [annotations.boundConditionReason]: null,
  [annotations.boundConditionMessage]: null,
};

test.each([
  { when: "pending, nothing written yet", claim: aClaim({ phase: "Pending" }), writes: mirror("Pending", "news") },
  {
    when: "pending, said before",
    claim: aClaim({ phase: "Pending", annotations: mirror("Pending", "news") }),
    writes: {},
  },
  {
    when: "pending, another word before",
    claim: aClaim({ phase: "Pending", annotations: mirror("Pending", "old") }),
    writes: { [annotations.boundConditionMessage]: "news" },
  },
  {
    when: "pending while scratch space speaks",
    claim: aClaim({ phase: "Pending", annotations: mirror("CreatingScratchSpace", "Creating scratch space") }),
    writes: {},
  },
  { when: "bound", claim: aClaim({ annotations: mirror("Pending", "news") }), writes: wiped },
  {
    when: "bound while scratch space speaks",
    claim: aClaim({ annotations: mirror("CreatingScratchSpace", "Creating scratch space") }),
    writes: {},
  },
  { when: "lost", claim: aClaim({ phase: "Lost" }), writes: {} },
])("$when", ({ claim, writes }) => expect(written(mirrorEvents(claim, [about("news")]))).toEqual(writes));
