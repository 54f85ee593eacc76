// Reads and writes of one open file, any number at a time. What the page cache can do at once is done
// at once, without a thread in between; all else is left to libuv's threads, and what these have
// done between two turns of the event loop is told in one call.
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <vector>

#include "addon.h"
#include "guard.h"

namespace paravane {

namespace {

// Transfers that are told of in one call.
constexpr size_t kToldMax = 128;
// Bytes of one transfer, so that a count of them fits a result.
constexpr size_t kLengthMax = INT32_MAX;

// How a transfer ended.
struct Ended {
  int32_t id;
  // Bytes moved, fewer than asked for at the end of the file only; or a negative errno.
  int32_t result;
};

using Told = std::array<Ended, kToldMax>;

class FileQueue;
struct Core;

// A transfer on its way through a thread.
struct Transfer {
  uv_work_t work;
  Core *core;
  int32_t id;
  bool isWrite;
  int fd;
  off_t position;
  // What is left of the memory begins with `buffers[first]`.
  std::vector<iovec> buffers;
  size_t first;
  size_t moved;
  int error;
};

// The part that libuv knows. It lives until libuv has let go of all of it, which is after the queue's
// own end: by close(), by the garbage collector, or by the end of the environment.
struct Core {
  uv_check_t check;
  FileQueue *owner;
  napi_async_cleanup_hook_handle hook;
  std::shared_ptr<Told> told = std::make_shared<Told>();
  std::vector<Ended> ended;
  // Kept from one transfer to the next with the memory that they have.
  std::vector<std::unique_ptr<Transfer>> idle;
  size_t underWay = 0;
  bool checkClosed = false;
};

void letGo(Core *core) {
  if (core->underWay > 0 || !core->checkClosed) return;
  napi_remove_async_cleanup_hook(core->hook);
  delete core;
}

// Takes `moved` bytes off the front of what is left to be done.
void advance(Transfer &transfer, size_t moved) {
  transfer.moved += moved;
  transfer.position += static_cast<off_t>(moved);
  while (transfer.first < transfer.buffers.size()) {
    iovec &buffer = transfer.buffers[transfer.first];
    if (moved < buffer.iov_len) {
      buffer.iov_base = static_cast<uint8_t *>(buffer.iov_base) + moved;
      buffer.iov_len -= moved;
      return;
    }
    moved -= buffer.iov_len;
    transfer.first++;
  }
}

// Moves what the kernel moves in one call: bytes, 0 at the end of the file, or a negative errno.
ssize_t moveOnce(const Transfer &transfer, int flags) {
  const iovec *buffers = &transfer.buffers[transfer.first];
  const size_t left = transfer.buffers.size() - transfer.first;
  const int count = static_cast<int>(std::min<size_t>(left, IOV_MAX));
  const ssize_t moved =
      transfer.isWrite ? pwritev2(transfer.fd, buffers, count, transfer.position, flags)
                       : preadv2(transfer.fd, buffers, count, transfer.position, flags);
  return moved < 0 ? -errno : moved;
}

// Off the event loop.
void moveAll(uv_work_t *work) {
  auto &transfer = *static_cast<Transfer *>(work->data);
  while (transfer.first < transfer.buffers.size()) {
    const ssize_t moved = moveOnce(transfer, 0);
    if (moved == -EINTR) continue;
    if (moved < 0) transfer.error = static_cast<int>(-moved);
    if (moved <= 0) return;
    advance(transfer, static_cast<size_t>(moved));
  }
}

// new FileQueue(fd, callback): calls callback(count) once `told` tells of so many transfers that have
// ended. The descriptor stays the caller's own, who keeps it open while any is under way.
class FileQueue : public Napi::ObjectWrap<FileQueue> {
 public:
  explicit FileQueue(const Napi::CallbackInfo &info) : Napi::ObjectWrap<FileQueue>(info) {
    Napi::Env env = info.Env();
    fd_ = static_cast<int>(integerArgument(info, 0, "fd", INT32_MAX));
    if (!info[1].IsFunction()) throw Napi::TypeError::New(env, "callback must be a function");
    if (napi_get_uv_event_loop(env, &loop_) != napi_ok) {
      throw Napi::Error::New(env, "this environment has no event loop");
    }
    callback_ = Napi::Persistent(info[1].As<Napi::Function>());
    context_ = std::make_unique<Napi::AsyncContext>(env, "FileQueue");
    core_ = new Core();
    core_->owner = this;
    uv_check_init(loop_, &core_->check);
    core_->check.data = core_;
    napi_add_async_cleanup_hook(env, onEnvironmentEnd, core_, &core_->hook);
    auto *keeper = new std::shared_ptr<Told>(core_->told);
    auto buffer = Napi::ArrayBuffer::New(
        env, core_->told->data(), sizeof(Told),
        [](Napi::Env, void *, std::shared_ptr<Told> *kept) { delete kept; }, keeper);
    info.This().As<Napi::Object>().Set(
        "told", Napi::Int32Array::New(env, sizeof(Told) / sizeof(int32_t), buffer, 0));
  }

  ~FileQueue() override {
    if (core_ != nullptr) endCore();
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "FileQueue",
                       {InstanceMethod<&FileQueue::begin>("begin"),
                        InstanceMethod<&FileQueue::close>("close")});
  }

 private:
  // begin(id, isWrite, position, buffers): moves the Uint8Arrays' bytes, one after the other. Returns
  // how many, or a negative errno, when that was done at once; -EINPROGRESS when the callback will
  // tell. Until then the caller keeps the buffers, and their memory where it is.
  Napi::Value begin(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    if (core_ == nullptr) throw Napi::TypeError::New(env, "the queue is closed");
    std::unique_ptr<Transfer> transfer = idleTransfer();
    transfer->id = static_cast<int32_t>(integerArgument(info, 0, "id", INT32_MAX));
    transfer->isWrite = booleanArgument(info, 1, "isWrite");
    transfer->position = static_cast<off_t>(offsetArgument(info, 2, "position"));
    takeBuffers(info, *transfer);
    const int result = moveAtOnce(*transfer);
    if (result == -EINPROGRESS) start(std::move(transfer));
    else core_->idle.push_back(std::move(transfer));
    return Napi::Number::New(env, result);
  }

  std::unique_ptr<Transfer> idleTransfer() {
    std::unique_ptr<Transfer> transfer;
    if (core_->idle.empty()) {
      transfer = std::make_unique<Transfer>();
    } else {
      transfer = std::move(core_->idle.back());
      core_->idle.pop_back();
    }
    transfer->core = core_;
    transfer->fd = fd_;
    transfer->buffers.clear();
    transfer->first = 0;
    transfer->moved = 0;
    transfer->error = 0;
    return transfer;
  }

  static void takeBuffers(const Napi::CallbackInfo &info, Transfer &transfer) {
    Napi::Env env = info.Env();
    if (!info[3].IsArray()) throw Napi::TypeError::New(env, "buffers must be an array");
    const uint32_t count = info[3].As<Napi::Array>().Length();
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
      napi_value element;
      napi_typedarray_type kind;
      size_t length = 0;
      void *data = nullptr;
      if (napi_get_element(env, info[3], i, &element) != napi_ok ||
          napi_get_typedarray_info(env, element, &kind, &length, &data, nullptr, nullptr) !=
              napi_ok ||
          kind != napi_uint8_array) {
        throw Napi::TypeError::New(env, "a buffer must be a Uint8Array");
      }
      if (length > kLengthMax - total) {
        throw Napi::RangeError::New(env, "a transfer must be shorter than 2 GiB");
      }
      total += length;
      if (length > 0) transfer.buffers.push_back({data, length});
    }
  }

  // What the page cache can do without waiting. A file system that does not know how to try says so
  // once, and is not asked again.
  int moveAtOnce(Transfer &transfer) {
    bool &canTry = transfer.isWrite ? canTryWrite_ : canTryRead_;
    while (transfer.first < transfer.buffers.size()) {
      if (!canTry) return -EINPROGRESS;
      const ssize_t moved = moveOnce(transfer, RWF_NOWAIT);
      // Whether it is the end of the file, or an error, a thread finds out.
      if (moved == -EOPNOTSUPP) canTry = false;
      if (moved <= 0) return -EINPROGRESS;
      advance(transfer, static_cast<size_t>(moved));
    }
    return static_cast<int>(transfer.moved);
  }

  void start(std::unique_ptr<Transfer> transfer) {
    transfer->work.data = transfer.get();
    core_->underWay++;
    // A queue at work is not collected.
    if (!isKept_) Ref();
    isKept_ = true;
    // It fails only without a function to run.
    uv_queue_work(loop_, &transfer.release()->work, moveAll, onMoved);
  }

  // What is under way still ends, and nobody is told. Idempotent.
  void close(const Napi::CallbackInfo &) {
    if (core_ == nullptr) return;
    endCore();
    letBeCollected();
  }

  void letBeCollected() {
    if (isKept_) Unref();
    isKept_ = false;
  }

  void endCore() {
    Core *core = core_;
    core_ = nullptr;
    core->owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&core->check), [](uv_handle_t *handle) {
      auto *closed = static_cast<Core *>(handle->data);
      closed->checkClosed = true;
      letGo(closed);
    });
  }

  // The environment waits until the threads are done with its memory: then the hook is removed.
  static void onEnvironmentEnd(napi_async_cleanup_hook_handle, void *data) {
    auto *core = static_cast<Core *>(data);
    if (core->owner != nullptr) core->owner->endCore();
  }

  static void onMoved(uv_work_t *work, int) {
    std::unique_ptr<Transfer> transfer(static_cast<Transfer *>(work->data));
    Core *core = transfer->core;
    const int result =
        transfer->error != 0 ? -transfer->error : static_cast<int>(transfer->moved);
    core->underWay--;
    if (core->owner == nullptr) {
      letGo(core);
      return;
    }
    // The check comes after all that ended with this one.
    if (core->ended.empty()) uv_check_start(&core->check, onCheck);
    core->ended.push_back({transfer->id, result});
    core->idle.push_back(std::move(transfer));
  }

  static void onCheck(uv_check_t *check) {
    uv_check_stop(check);
    auto *core = static_cast<Core *>(check->data);
    if (core->owner != nullptr) core->owner->deliver();
  }

  void deliver() {
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    // The callback may close the queue, and let go of this object.
    Napi::Object self = Value();
    const std::vector<Ended> ended = std::move(core_->ended);
    core_->ended.clear();
    for (size_t at = 0; at < ended.size() && core_ != nullptr; at += kToldMax) {
      const size_t count = std::min(kToldMax, ended.size() - at);
      std::copy_n(ended.begin() + static_cast<ptrdiff_t>(at), count, core_->told->begin());
      try {
        callback_.MakeCallback(self, {Napi::Number::New(env, static_cast<double>(count))},
                               *context_);
      } catch (const Napi::Error &error) {
        napi_fatal_exception(env, error.Value());
      }
    }
    if (core_ != nullptr && core_->underWay == 0) letBeCollected();
  }

  Core *core_ = nullptr;
  uv_loop_t *loop_ = nullptr;
  int fd_ = -1;
  bool canTryRead_ = true;
  bool canTryWrite_ = true;
  bool isKept_ = false;
  Napi::FunctionReference callback_;
  std::unique_ptr<Napi::AsyncContext> context_;
};

}  // namespace

void exportFileQueue(Napi::Env env, Napi::Object exports) {
  exports.Set("FileQueue", FileQueue::define(env));
}

}  // namespace paravane
