// Pseudoterminals.
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

// Unlocks the slave of a new master, makes it raw and returns its path.
std::string prepareSlave(Napi::Env env, int master) {
  char path[64];
  termios settings;
  if (grantpt(master) != 0) throwSystemError(env, errno, "grantpt");
  if (unlockpt(master) != 0) throwSystemError(env, errno, "unlockpt");
  const int error = ptsname_r(master, path, sizeof path);
  if (error != 0) throwSystemError(env, error, "ptsname_r");
  // On Linux a master's settings are its slave's.
  if (tcgetattr(master, &settings) != 0) throwSystemError(env, errno, "tcgetattr");
  cfmakeraw(&settings);
  if (tcsetattr(master, TCSANOW, &settings) != 0) throwSystemError(env, errno, "tcsetattr");
  return path;
}

int openSlave(Napi::Env env, const std::string &path) {
  const int slave = open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) throwSystemError(env, errno, "open", path.c_str());
  return slave;
}

// openPty(): { master, slave, path }. Both ends are open, in raw mode, nobody's controlling terminal
// and not inherited by child processes; the master does not block. The caller closes them.
Napi::Value openPty(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (master < 0) throwSystemError(env, errno, "posix_openpt");
  try {
    const std::string path = prepareSlave(env, master);
    result.Set("path", Napi::String::New(env, path));
    result.Set("master", Napi::Number::New(env, master));
    result.Set("slave", Napi::Number::New(env, openSlave(env, path)));
  } catch (...) {
    close(master);
    throw;
  }
  return result;
}

}  // namespace

void exportPty(Napi::Env env, Napi::Object exports) {
  exports.Set("openPty", Napi::Function::New(env, openPty, "openPty"));
}

}  // namespace paravane
