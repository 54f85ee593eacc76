// What Node's own file calls leave out: reads and writes that tell without an exception that nothing
// can be moved now, space set aside ahead or given back, and locks.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

// Bytes moved by one call at most.
constexpr size_t kTransferMax = 1 << 30;

int descriptorArgument(const Napi::CallbackInfo &info) {
  return static_cast<int>(integerArgument(info, 0, "fd", INT32_MAX));
}

// readNow(fd, target): how many bytes came from a descriptor that does not block, 0 at its end, or a
// negative errno.
Napi::Value readNow(const Napi::CallbackInfo &info) {
  const int fd = descriptorArgument(info);
  auto target = typedArrayArgument<uint8_t>(info, 1, "target", napi_uint8_array, kTransferMax);
  const ssize_t length = read(fd, target.Data(), target.ByteLength());
  return Napi::Number::New(info.Env(), static_cast<double>(length < 0 ? -errno : length));
}

// writeNow(fd, source): how many bytes a descriptor that does not block has taken, or a negative errno.
Napi::Value writeNow(const Napi::CallbackInfo &info) {
  const int fd = descriptorArgument(info);
  auto source = typedArrayArgument<uint8_t>(info, 1, "source", napi_uint8_array, kTransferMax);
  const ssize_t length = write(fd, source.Data(), source.ByteLength());
  return Napi::Number::New(info.Env(), static_cast<double>(length < 0 ? -errno : length));
}

// setAside(fd, pages): 0 once the file has so many pages that a store to a mapping of it cannot
// fail, or a negative errno.
Napi::Value setAside(const Napi::CallbackInfo &info) {
  const int fd = descriptorArgument(info);
  const off_t length = off_t{integerArgument(info, 1, "pages", kUint32Max, 1)} * kPageSize;
  // Unlike other calls it returns the error.
  return Napi::Number::New(info.Env(), -posix_fallocate(fd, 0, length));
}

int discardRange(int fd, uint64_t position, uint64_t length) {
  struct stat stats;
  if (fstat(fd, &stats) != 0) return errno;
  if (S_ISBLK(stats.st_mode)) {
    uint64_t range[2] = {position, length};
    return ioctl(fd, BLKDISCARD, range) == 0 ? 0 : errno;
  }
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const int result =
      fallocate(fd, mode, static_cast<off_t>(position), static_cast<off_t>(length));
  return result == 0 ? 0 : errno;
}

// Off the event loop: giving much storage back takes its time.
class Discard : public Napi::AsyncWorker {
 public:
  Discard(const Napi::Function &callback, int fd, uint64_t position, uint64_t length)
      : Napi::AsyncWorker(callback, "paravane:discard"),
        fd_(fd),
        position_(position),
        length_(length) {}

  void Execute() override { error_ = discardRange(fd_, position_, length_); }

  void OnOK() override { Callback().Call({Napi::Number::New(Env(), -error_)}); }

 private:
  const int fd_;
  const uint64_t position_;
  const uint64_t length_;
  int error_ = 0;
};

// discard(fd, position, length, callback): gives the storage of a range back, of a file by a hole
// and of a block device by its own means. The callback gets 0 or a negative errno; until then the
// descriptor must stay open.
Napi::Value discard(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int fd = descriptorArgument(info);
  const uint64_t position = offsetArgument(info, 1, "position");
  const uint64_t length = offsetArgument(info, 2, "length");
  if (!info[3].IsFunction()) throw Napi::TypeError::New(env, "callback must be a function");
  (new Discard(info[3].As<Napi::Function>(), fd, position, length))->Queue();
  return env.Undefined();
}

// tryLock(fd, exclusive): flock(2) without waiting; false when somebody else has the lock. It goes
// when the descriptor is closed, by whatever end of the process.
Napi::Value tryLock(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  const int fd = descriptorArgument(info);
  const bool exclusive = booleanArgument(info, 1, "exclusive");
  if (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
    return Napi::Boolean::New(env, true);
  }
  if (errno == EWOULDBLOCK) return Napi::Boolean::New(env, false);
  throwSystemError(env, errno, "flock");
}

}  // namespace

void exportFile(Napi::Env env, Napi::Object exports) {
  exports.Set("readNow", Napi::Function::New<readNow>(env, "readNow"));
  exports.Set("writeNow", Napi::Function::New<writeNow>(env, "writeNow"));
  exports.Set("setAside", Napi::Function::New<setAside>(env, "setAside"));
  exports.Set("discard", Napi::Function::New(env, discard, "discard"));
  exports.Set("tryLock", Napi::Function::New(env, tryLock, "tryLock"));
}

}  // namespace paravane
