// What `cdi up` shows of its sample while it runs: one line redrawn on a terminal, a line per change elsewhere.
import type { DataVolume } from "../../api/data-volume.ts";
import { shownBytes } from "../../lib/quantity.ts";

export interface LiveLine {
  show(dataVolume: DataVolume): void;
  /** Ends the redrawn line, so that other output starts below it. */
  end(): void;
}

export function liveLine(out: NodeJS.WritableStream): LiveLine {
  const isTerminal = "isTTY" in out && out.isTTY === true;
  const states = new Map<string, string>();
  let last = "";
  return {
    show(dataVolume) {
      states.set(dataVolume.metadata.name ?? "", stateOf(dataVolume, isTerminal));
      const line = [...states].map(([name, state]) => `${name}: ${state}`).join("   ");
      if (line === last) return;
      last = line;
      out.write(isTerminal ? `\r\u001b[K${line}` : `${line}\n`);
    },
    end() {
      if (isTerminal && last) out.write("\n");
      last = "";
    },
  };
}

function stateOf({ status }: DataVolume, withRate: boolean): string {
  const phase = status?.phase || "created";
  const progress = status?.progress && status.progress !== "N/A" ? ` ${status.progress}` : "";
  const rate = withRate && status?.transfer?.bytesPerSecond ? ` ${shownBytes(status.transfer.bytesPerSecond)}/s` : "";
  const stalled = status?.conditions?.find((one) => one.type === "Stalled" && one.status === "True");
  return `${phase}${phase === "Succeeded" ? "" : `${progress}${rate}`}${stalled ? ` (${stalled.reason}: ${stalled.message})` : ""}`;
}
