import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/base/log.ts
function logTo(sink, bound = {}) {
  const at = (level) => (message, fields) => sink(level, message, fields === void 0 ? bound : { ...bound, ...fields });
  return {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    child: (fields) => logTo(sink, { ...bound, ...fields })
  };
}
var silentLog = logTo(() => {
});

export {
  logTo,
  silentLog
};
//# sourceMappingURL=chunk-EW4O7BUS.js.map
