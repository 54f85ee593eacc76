// Reads and writes of one open file, any number at a time. What the page cache can do at once is done
// at once, without a thread in between; all else is left to libuv's threads at the end of the turn of
// the event loop, neighbours together and small writes together, and what these have done between two
// turns is told in one call.
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
// Bytes that neighbours have between them: beyond it several threads are faster.
constexpr size_t kGroupMax = 1 << 20;
// The same for writes that are none. What they do is put bytes into the page cache, for few of which
// it is not worth to wake a thread; a read that a thread has to do waits for a disk, and does it alone.
constexpr size_t kScatteredWritesMax = 1 << 16;

// How a transfer ended.
struct Ended {
  int32_t id;
  // Bytes moved, fewer than asked for at the end of the file only; or a negative errno.
  int32_t result;
};

using Told = std::array<Ended, kToldMax>;

class FileQueue;
struct Core;

// A transfer that a thread does, or is to do.
struct Transfer {
  int32_t id;
  bool isWrite;
  int fd;
  off_t position;
  size_t length;
  // What is left of the memory begins with `buffers[first]`.
  std::vector<iovec> buffers;
  size_t first;
  size_t moved;
  int error;
};

// Transfers on their way through a thread, which does one after the other, and neighbours at once.
struct Group {
  uv_work_t work;
  Core *core;
  std::vector<std::unique_ptr<Transfer>> members;
};

// The part that libuv knows. It lives until libuv has let go of all of it, which is after the queue's
// own end: by close(), by the garbage collector, or by the end of the environment.
struct Core {
  uv_check_t check;
  // Keeps the event loop from waiting before the check.
  uv_idle_t awake;
  FileQueue *owner;
  napi_async_cleanup_hook_handle hook;
  std::shared_ptr<Told> told = std::make_shared<Told>();
  std::vector<Ended> ended;
  // Of this turn.
  std::vector<std::unique_ptr<Transfer>> waiting;
  // Kept from one transfer to the next with the memory that they have.
  std::vector<std::unique_ptr<Transfer>> idle;
  size_t groupsUnderWay = 0;
  int handlesOpen = 2;
};

void letGo(Core *core) {
  if (core->groupsUnderWay > 0 || core->handlesOpen > 0) return;
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
ssize_t moveOnce(const Transfer &at, const iovec *buffers, size_t count, int flags) {
  const int vectors = static_cast<int>(std::min<size_t>(count, IOV_MAX));
  const ssize_t moved = at.isWrite ? pwritev2(at.fd, buffers, vectors, at.position, flags)
                                   : preadv2(at.fd, buffers, vectors, at.position, flags);
  return moved < 0 ? -errno : moved;
}

ssize_t moveOnce(const Transfer &transfer, int flags) {
  const iovec *buffers = &transfer.buffers[transfer.first];
  return moveOnce(transfer, buffers, transfer.buffers.size() - transfer.first, flags);
}

bool isDone(const Transfer &transfer) { return transfer.first == transfer.buffers.size(); }

// Whether `next` begins where `before` ends.
bool follows(const Transfer &before, const Transfer &next) {
  const off_t end = before.position + static_cast<off_t>(before.length - before.moved);
  return before.isWrite == next.isWrite && end == next.position;
}

// Off the event loop. What one of the group fails with is its own.
void moveAll(uv_work_t *work) {
  const auto &members = static_cast<Group *>(work->data)->members;
  std::vector<iovec> buffers;
  for (size_t at = 0; at < members.size();) {
    if (isDone(*members[at])) {
      at++;
      continue;
    }
    buffers.clear();
    for (size_t i = at; i < members.size(); i++) {
      const Transfer &member = *members[i];
      if (i > at && !follows(*members[i - 1], member)) break;
      buffers.insert(buffers.end(), member.buffers.begin() + static_cast<ptrdiff_t>(member.first),
                     member.buffers.end());
    }
    const ssize_t moved = moveOnce(*members[at], buffers.data(), buffers.size(), 0);
    if (moved == -EINTR) continue;
    if (moved <= 0) {
      if (moved < 0) members[at]->error = static_cast<int>(-moved);
      at++;
      continue;
    }
    for (size_t left = static_cast<size_t>(moved); left > 0; at++) {
      Transfer &member = *members[at];
      const size_t part = std::min(left, member.length - member.moved);
      advance(member, part);
      left -= part;
      if (!isDone(member)) break;
    }
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
    uv_idle_init(loop_, &core_->awake);
    core_->check.data = core_->awake.data = core_;
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
    transfer.length = total;
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
    // A queue at work is not collected.
    if (!isKept_) Ref();
    isKept_ = true;
    core_->waiting.push_back(std::move(transfer));
    uv_idle_start(&core_->awake, [](uv_idle_t *) {});
    uv_check_start(&core_->check, onCheck);
  }

  // Leaves all that waits to threads.
  static void startWaiting(Core *core) {
    uv_idle_stop(&core->awake);
    std::unique_ptr<Group> group;
    size_t length = 0;
    size_t vectors = 0;
    for (auto &next : core->waiting) {
      length += next->length;
      vectors += next->buffers.size();
      if (group != nullptr && mayJoin(*group->members.back(), *next, length) &&
          vectors <= IOV_MAX) {
        group->members.push_back(std::move(next));
        continue;
      }
      startGroup(std::move(group));
      length = next->length;
      vectors = next->buffers.size();
      group = std::make_unique<Group>();
      group->core = core;
      group->members.push_back(std::move(next));
    }
    core->waiting.clear();
    startGroup(std::move(group));
  }

  // Whether one thread does both. `length` is that of the group with `next`.
  static bool mayJoin(const Transfer &last, const Transfer &next, size_t length) {
    if (follows(last, next)) return length <= kGroupMax;
    return last.isWrite && next.isWrite && length <= kScatteredWritesMax;
  }

  static void startGroup(std::unique_ptr<Group> group) {
    if (group == nullptr) return;
    group->work.data = group.get();
    group->core->groupsUnderWay++;
    uv_loop_t *loop = group->core->check.loop;
    // It fails only without a function to run.
    uv_queue_work(loop, &group.release()->work, moveAll, onMoved);
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
    startWaiting(core);
    const auto closed = [](uv_handle_t *handle) {
      auto *of = static_cast<Core *>(handle->data);
      of->handlesOpen--;
      letGo(of);
    };
    uv_close(reinterpret_cast<uv_handle_t *>(&core->check), closed);
    uv_close(reinterpret_cast<uv_handle_t *>(&core->awake), closed);
  }

  // The environment waits until the threads are done with its memory: then the hook is removed.
  static void onEnvironmentEnd(napi_async_cleanup_hook_handle, void *data) {
    auto *core = static_cast<Core *>(data);
    if (core->owner != nullptr) core->owner->endCore();
  }

  static void onMoved(uv_work_t *work, int) {
    std::unique_ptr<Group> group(static_cast<Group *>(work->data));
    Core *core = group->core;
    core->groupsUnderWay--;
    if (core->owner == nullptr) {
      letGo(core);
      return;
    }
    // The check comes after all that ended with these.
    uv_check_start(&core->check, onCheck);
    for (auto &member : group->members) {
      const int result = member->error != 0 ? -member->error : static_cast<int>(member->moved);
      core->ended.push_back({member->id, result});
      core->idle.push_back(std::move(member));
    }
  }

  static void onCheck(uv_check_t *check) {
    uv_check_stop(check);
    auto *core = static_cast<Core *>(check->data);
    if (core->owner == nullptr) return;
    startWaiting(core);
    if (!core->ended.empty()) core->owner->deliver();
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
    if (core_ != nullptr && core_->groupsUnderWay == 0 && core_->waiting.empty()) {
      letBeCollected();
    }
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
