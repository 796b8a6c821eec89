// The relay of test/support/relay.ts as a process of its own: `relay-process.ts PORT` prints the port it listens at and ends
// when its input does.
import { once } from "node:events";
import { startRelay } from "../../test/support/relay.ts";

let stop: () => Promise<void> = () => Promise.resolve();
const relay = await startRelay({ toPort: Number(process.argv[2]) }, (release) => void (stop = release));
console.log(relay.port);
process.stdin.resume();
await once(process.stdin, "end");
await stop();
