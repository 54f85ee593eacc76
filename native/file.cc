// What files need beyond what Node has: space set aside ahead, and a lock that ends with us.
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

int descriptorArgument(const Napi::CallbackInfo &info) {
  return static_cast<int>(integerArgument(info, 0, "fd", INT32_MAX));
}

// setAside(fd, pages): 0 once the file has so many pages that a store to a mapping of it cannot
// fail, or a negative errno.
Napi::Value setAside(const Napi::CallbackInfo &info) {
  const int fd = descriptorArgument(info);
  const off_t length = off_t{integerArgument(info, 1, "pages", kUint32Max, 1)} * kPageSize;
  // Unlike other calls it returns the error.
  return Napi::Number::New(info.Env(), -posix_fallocate(fd, 0, length));
}

// lockFile(fd): 0 once the open file is ours alone until it is closed, or a negative errno, EAGAIN
// when it is another's.
Napi::Value lockFile(const Napi::CallbackInfo &info) {
  const int fd = descriptorArgument(info);
  return Napi::Number::New(info.Env(), flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno);
}

}  // namespace

void exportFile(Napi::Env env, Napi::Object exports) {
  exports.Set("setAside", Napi::Function::New<setAside>(env, "setAside"));
  exports.Set("lockFile", Napi::Function::New<lockFile>(env, "lockFile"));
}

}  // namespace paravane
