/** Measures bridges in dom0 of the lab: takes one `BridgeLoad` as JSON, prints what was `Measured`. */
import { measureBridge } from './vchan-load.ts';

const [, , load = ''] = process.argv;
process.stdout.write(JSON.stringify(await measureBridge(JSON.parse(load))));
process.exit();
