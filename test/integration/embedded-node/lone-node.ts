// A node in a process of its own, for tests that kill it: prints a line of JSON per thing it saw.
// Arguments: folder, road, script of its one pod, and where that runs in an image: the image, the program that pulls, its shell.
import { kinds } from "../../../src/api/kinds.ts";
import { aClaim, aPod, createPod, running, startTestNode, untilPod } from "./node.ts";

const [dir = "", road, script = "", image, puller = "", ...shell] = process.argv.slice(2);
const pull = image === undefined ? {} : { pull: { puller: [process.execPath, puller], dir: "" } };
const node = await startTestNode({ dir, road: road === "device" ? "device" : "folder", ...pull });
await node.client.create(aClaim("data", "64Mi", "Filesystem"), kinds.claim);
const pod = aPod("lone", script, {
  volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
  containers: [{ name: "main", image: "sh", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
});
const [main] = pod.spec.containers;
if (main && image !== undefined) Object.assign(main, { image, command: shell });
await createPod(node, pod);
await untilPod(node, "lone", running);
process.stdout.write("running\n");
