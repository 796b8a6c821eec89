// The one-pass road: a qcow2 goes through once, in the file's order, and each cluster lands at its place. Where ranges exist its
// tables are read before; in a mere stream they are taken as they come by.
import { Fault } from "../../lib/faults.ts";
import { enterStage } from "../progress.ts";
import { EntryHeap } from "../qcow2/entry-heap.ts";
import { neededL1Entries, noticesOf, readHeader, type Qcow2Header } from "../qcow2/header.ts";
import { HostPass } from "../qcow2/host-pass.ts";
import { KeptBytes } from "../qcow2/kept-bytes.ts";
import { LateBytes } from "../qcow2/late-bytes.ts";
import { PassDeclined } from "../qcow2/pass-declined.ts";
import { writePassState } from "../qcow2/pass-state.ts";
import { planRanged, planStream, type RangedPlan } from "../qcow2/ranged-plan.ts";
import { TableCheck } from "../qcow2/table-check.ts";
import { tooSmall } from "../sinks/index.ts";
import type { Source } from "../types.ts";
import { onePassInput } from "./one-pass-input.ts";
import type { RoadEnd, RoadJob } from "./road.ts";
import { unpackedLimit, unpacksTooFar } from "./staged.ts";

/** The rest of a file, behind its last cluster, that is read all the same: it shows whether all of it came. */
const shortRestBytes = 1024 * 1024;

/** @throws Fault; "declined" when the image is one for another road */
export async function goOnePass(job: RoadJob): Promise<RoadEnd> {
  const { peeled, sink, sourceBytes, progress, log } = job;
  const header = readHeader(peeled.head);
  const { virtualSizeBytes } = header;
  if (virtualSizeBytes > sink.availableBytes) throw tooSmall(virtualSizeBytes, sink.availableBytes);
  for (const notice of noticesOf(header)) log.warn(notice);
  const target = targetOf(job, header);
  const check = job.hasChecksum ? new TableCheck(job.source.name) : undefined;
  try {
    const plan = await planOf(job, header, check);
    if (check) job.onTables?.(check.noted());
    enterStage(progress, "transferring", 0, 1, sourceBytes);
    await (plan ? passPlanned(job, header, plan, target, check) : passInLine(job, header, target));
    await target.begin();
    return { kind: "poured", virtualSizeBytes };
  } catch (cause) {
    if (!(cause instanceof PassDeclined)) throw cause;
    if (cause.needsScratch && !job.scratch) return { kind: "scratchNeeded" };
    log.info("Leaving the one-pass road", { why: cause.message });
    await target.startOver();
    return { kind: "declined" };
  }
}

interface Target {
  begin(): Promise<void>;
  place(guest: number, bytes: Buffer): Promise<void>;
  /** Empties it, if anything was begun. */
  startOver(): Promise<void>;
}

/** The target is emptied when the first bytes for it are there: until then another answer leaves it alone. */
function targetOf({ sink, progress, startAt, pace }: RoadJob, { virtualSizeBytes }: Qcow2Header): Target {
  // What lies below startAt is placed already: a target that goes on is not emptied.
  let beginning: Promise<void> | undefined = startAt === undefined ? undefined : Promise.resolve();
  let isOpen = startAt !== undefined;
  // Once, however many ask for it at a time.
  const begin = (): Promise<void> => (beginning ??= sink.begin(virtualSizeBytes));
  return {
    begin,
    async place(guest, bytes) {
      if (!isOpen) {
        await begin();
        isOpen = true;
      }
      await pace?.();
      await sink.write(guest, bytes);
      progress.bytesWritten = sink.writtenBytes ?? progress.bytesWritten + bytes.length;
    },
    async startOver() {
      if (beginning) await sink.begin(virtualSizeBytes);
    },
  };
}

/** @returns undefined where only the stream is left */
async function planOf(job: RoadJob, header: Qcow2Header, check?: TableCheck): Promise<RangedPlan | undefined> {
  const { peeled, source, sourceBytes, ranges, progress, signal } = job;
  // What a stream's pass knows, it goes on with as a stream.
  if (job.startState || !source.read || !ranges || sourceBytes === undefined || peeled.layers.length > 0)
    return undefined;
  const read: NonNullable<Source["read"]> = source.read.bind(source);
  return await planRanged({
    header,
    fileBytes: sourceBytes,
    signal,
    async readAt(offset, into) {
      await read(offset, into, signal);
      progress.bytesRead += into.length;
      check?.note(offset, into);
    },
  });
}

async function passPlanned(
  job: RoadJob,
  header: Qcow2Header,
  plan: RangedPlan,
  target: Target,
  check?: TableCheck,
): Promise<void> {
  const { signal, sourceBytes = 0, sourceIsWhole, startAt, onLowWater } = job;
  const input = onePassInput(job, check);
  try {
    await target.begin();
    const pass = new HostPass({
      header,
      input,
      plan: plan.heap,
      ...(startAt === undefined ? {} : { startAt }),
      ...(onLowWater ? { onLowWater: (offset) => onLowWater(offset) } : {}),
      signal,
      place: (guest, bytes) => target.place(guest, bytes),
    });
    for (let window = 0; window < plan.windows; window += 1) {
      await plan.load(window);
      await pass.run();
    }
    if (check || (!input.hasSkipped && sourceBytes - input.position <= shortRestBytes)) {
      while (await input.next());
      await sourceIsWhole();
    }
  } finally {
    await input.close();
  }
}

async function passInLine(job: RoadJob, header: Qcow2Header, target: Target): Promise<void> {
  const { peeled, source, sink, scratch, progress, signal, sourceIsWhole, startAt, startState, onLowWater, onTaken } =
    job;
  const mostBytes = peeled.layers.length === 0 ? Infinity : unpackedLimit(sink.availableBytes);
  const kept = new KeptBytes({
    scratch,
    onScratch: (bytes) => (progress.scratchPeakBytes = bytes),
  });
  const plan = new EntryHeap(header.clusterBytes);
  const late = new LateBytes({ kept, readPlaced: sink.read?.bind(sink) });
  // No skipping: a stream has to be read to its end in any case.
  const input = onePassInput(job);
  const next = async (): Promise<Buffer | undefined> => {
    if (input.position > mostBytes) throw unpacksTooFar(mostBytes);
    return await input.next();
  };
  try {
    // A checkpoint speaks of a target that is begun, also while all that came waits for its tables.
    if (source.isSentOn) await target.begin();
    if (startState) {
      for (const { kind, host, length, guest } of startState.plan) plan.push(kind, host, length, guest);
      await late.restore(startState);
    } else if (startAt !== undefined) {
      throw new Fault("SourceChanged", "the image was taken in another way before the restart");
    } else planStream(plan, header.l1Offset, neededL1Entries(header));
    const pass = new HostPass({
      header,
      input: { next },
      plan,
      late,
      ...(startAt === undefined ? {} : { startAt }),
      ...(startState ? { from: startState } : {}),
      onLowWater: (offset, takenTo) => tellTaken(offset, takenTo),
      signal,
      place: (guest, bytes) => target.place(guest, bytes),
    });
    const stateOf = (): Buffer | undefined => {
      const state = pass.state();
      return state && writePassState({ ...state, head: peeled.head });
    };
    // First where it can go on, then that it waits: who waits for that saves what was told.
    const tellTaken = (offset: number, takenTo = offset): void => {
      onLowWater?.(offset, stateOf);
      onTaken?.(takenTo);
    };
    await pass.run();
    for (;;) {
      tellTaken(input.position);
      if (!(await next())) break;
    }
  } finally {
    await kept.close();
  }
  await sourceIsWhole();
}
