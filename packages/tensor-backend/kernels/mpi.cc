// Sums and copies between the processes of an MPI job. One thread of its own makes every call of MPI, in the order in
// which work was queued, so that communication runs beside the kernels and the library needs no thread support.
//
// MPI without its headers: the library is found at run time, and with it which of the two ABIs it has. Open MPI's handles
// are addresses of its own symbols; those of MPICH (and of its relatives of Intel, Cray and MVAPICH, which share its ABI)
// are the integers of MPICH's mpi.h. A handle is passed in a register of the machine in both cases.
#define NAPI_VERSION 8
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#if defined(_WIN32)
#define HEED_NO_DLOPEN
#else
#include <dlfcn.h>
#include <sched.h>
#endif

namespace heed {
namespace {

using Handle = uintptr_t;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct MpiTimes {
    /** Seconds in which a message was on its way, and in which a caller waited for one. */
    double communicating, waiting;
};

struct MpiPlace {
    int rank, size;
};

struct Library {
    int (*init_thread)(int*, char***, int, int*);
    int (*finalize)();
    int (*rank)(Handle, int*);
    int (*size)(Handle, int*);
    int (*all_reduce)(const void*, void*, int, Handle, Handle, Handle, Handle*);
    int (*broadcast)(void*, int, Handle, int, Handle, Handle*);
    int (*test)(Handle*, int*, void*);
    Handle world, real32, real64, sum;
    void* in_place;
    void* no_status;
};

/** One message. Its list of places is its own, the floats are the caller's. */
struct Work {
    enum Kind { kSum, kBroadcast, kSumDoubles } kind;
    std::vector<float*> addresses;
    std::vector<size_t> counts;
    int root;
    double* doubles;
    size_t double_count;
    uint64_t ticket;
};

class Communicator {
public:
    const char* join(const char* const* libraries, size_t number, MpiPlace* place) {
        std::unique_lock<std::mutex> lock(mutex_);
        if (state_ == kIdle) {
            const char* error = load(libraries, number);
            if (error) return error;
            state_ = kJoining;
            // Detached: a process that ends with an error must not wait for the others, which MPI then ends.
            std::thread([this] { serve(); }).detach();
        }
        changed_.wait(lock, [this] { return state_ != kJoining; });
        if (state_ != kJoined) return "the job cannot be joined again after it was left";
        *place = place_;
        return nullptr;
    }

    uint64_t queue(Work work) {
        std::lock_guard<std::mutex> lock(mutex_);
        work.ticket = ++last_ticket_;
        queue_.push_back(std::move(work));
        changed_.notify_all();
        return last_ticket_;
    }

    void wait(uint64_t ticket) {
        const auto start = Clock::now();
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return done_ >= ticket || state_ != kJoined; });
        times_.waiting += seconds_since(start);
    }

    MpiTimes times() {
        std::lock_guard<std::mutex> lock(mutex_);
        return times_;
    }

    void leave() {
        std::unique_lock<std::mutex> lock(mutex_);
        if (state_ != kJoined) return;
        is_leaving_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return state_ == kLeft; });
    }

private:
    const char* load(const char* const* libraries, size_t number) {
#if defined(HEED_NO_DLOPEN)
        return "MPI is not supported on this platform";
#else
        void* handle = nullptr;
        // Global: Open MPI's own plugins look for its symbols there.
        for (size_t i = 0; i < number && !handle; i++) handle = dlopen(libraries[i], RTLD_NOW | RTLD_GLOBAL);
        if (!handle) return dlerror();
        const auto find = [&](auto& function, const char* name) {
            function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
            return function != nullptr;
        };
        if (!find(mpi_.init_thread, "MPI_Init_thread") || !find(mpi_.finalize, "MPI_Finalize") ||
            !find(mpi_.rank, "MPI_Comm_rank") || !find(mpi_.size, "MPI_Comm_size") ||
            !find(mpi_.all_reduce, "MPI_Iallreduce") || !find(mpi_.broadcast, "MPI_Ibcast") ||
            !find(mpi_.test, "MPI_Test"))
            return "the library has no MPI 3 (MPI_Iallreduce)";
        if (void* world = dlsym(handle, "ompi_mpi_comm_world")) {
            const auto address = [&](const char* name) { return reinterpret_cast<Handle>(dlsym(handle, name)); };
            mpi_.world = reinterpret_cast<Handle>(world);
            mpi_.real32 = address("ompi_mpi_float");
            mpi_.real64 = address("ompi_mpi_double");
            mpi_.sum = address("ompi_mpi_op_sum");
            mpi_.in_place = reinterpret_cast<void*>(1);
            mpi_.no_status = nullptr;
        } else {
            mpi_.world = 0x44000000;
            mpi_.real32 = 0x4c00040a;
            mpi_.real64 = 0x4c00080b;
            mpi_.sum = 0x58000003;
            mpi_.in_place = reinterpret_cast<void*>(-1);
            mpi_.no_status = reinterpret_cast<void*>(1);
        }
        return nullptr;
#endif
    }

    /** The life of the thread that talks to MPI. */
    void serve() {
        const int funneled = 1;  // MPI_THREAD_FUNNELED: only this thread calls
        int provided = 0;
        mpi_.init_thread(nullptr, nullptr, funneled, &provided);
        std::unique_lock<std::mutex> lock(mutex_);
        mpi_.rank(mpi_.world, &place_.rank);
        mpi_.size(mpi_.world, &place_.size);
        state_ = kJoined;
        changed_.notify_all();
        for (;;) {
            changed_.wait(lock, [this] { return is_leaving_ || !queue_.empty(); });
            if (queue_.empty()) break;
            Work work = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            const auto start = Clock::now();
            carry_out(work);
            const double seconds = seconds_since(start);
            lock.lock();
            times_.communicating += seconds;
            done_ = work.ticket;
            changed_.notify_all();
        }
        lock.unlock();
        mpi_.finalize();
        lock.lock();
        state_ = kLeft;
        changed_.notify_all();
    }

    void carry_out(const Work& work) {
        if (work.kind == Work::kSumDoubles) {
            Handle request = 0;
            mpi_.all_reduce(mpi_.in_place, work.doubles, (int)work.double_count, mpi_.real64, mpi_.sum, mpi_.world, &request);
            finish(&request);
            return;
        }
        size_t total = 0;
        for (size_t count : work.counts) total += count;
        float* message = work.addresses.size() == 1 ? work.addresses[0] : pack(work, total);
        // A message holds at most 2^31 - 1 elements; this many at a time, far below, costs nothing.
        const size_t most = 1 << 28;
        for (size_t from = 0; from < total; from += most) {
            const int count = (int)(total - from < most ? total - from : most);
            Handle request = 0;
            if (work.kind == Work::kSum)
                mpi_.all_reduce(mpi_.in_place, message + from, count, mpi_.real32, mpi_.sum, mpi_.world, &request);
            else
                mpi_.broadcast(message + from, count, mpi_.real32, work.root, mpi_.world, &request);
            finish(&request);
        }
        if (message == buffer_.data()) unpack(work);
    }

    float* pack(const Work& work, size_t total) {
        if (buffer_.size() < total) buffer_.resize(total);
        float* to = buffer_.data();
        for (size_t i = 0; i < work.addresses.size(); to += work.counts[i++])
            memcpy(to, work.addresses[i], work.counts[i] * sizeof(float));
        return buffer_.data();
    }

    void unpack(const Work& work) {
        const float* from = buffer_.data();
        for (size_t i = 0; i < work.addresses.size(); from += work.counts[i++])
            memcpy(work.addresses[i], from, work.counts[i] * sizeof(float));
    }

    /** Drives the message on until it has arrived. Between two looks the core goes to the kernels, which need it more. */
    void finish(Handle* request) {
        const auto start = Clock::now();
        for (int done = 0;;) {
            mpi_.test(request, &done, mpi_.no_status);
            if (done) return;
            if (Clock::now() - start < std::chrono::microseconds(50))
                std::this_thread::yield();
            else
                std::this_thread::sleep_for(std::chrono::microseconds(20));
        }
    }

    enum State { kIdle, kJoining, kJoined, kLeft };
    std::mutex mutex_;
    std::condition_variable changed_;
    State state_ = kIdle;
    bool is_leaving_ = false;
    std::deque<Work> queue_;
    uint64_t last_ticket_ = 0, done_ = 0;
    MpiTimes times_ = {0, 0};
    MpiPlace place_ = {0, 1};
    Library mpi_ = {};
    std::vector<float> buffer_;
};

/** Never destroyed: its thread may run until the process ends. */
Communicator& communicator() {
    static Communicator* one = new Communicator;
    return *one;
}

/** mpi_join(names): loads the first of these libraries that is there -> { rank, size }, or why the job cannot be joined. */
napi_value mpi_join(napi_env env, napi_callback_info info) {
    napi_value list, item, result, number;
    size_t count = 1;
    uint32_t length = 0;
    napi_get_cb_info(env, info, &count, &list, nullptr, nullptr);
    if (count != 1 || napi_get_array_length(env, list, &length) != napi_ok) {
        napi_throw_type_error(env, nullptr, "heed: mpi_join takes a list of names");
        return nullptr;
    }
    std::vector<std::string> names(length);
    std::vector<const char*> pointers;
    for (uint32_t i = 0; i < length; i++) {
        char name[1024] = "";
        napi_get_element(env, list, i, &item);
        napi_get_value_string_utf8(env, item, name, sizeof name, nullptr);
        names[i] = name;
        pointers.push_back(names[i].c_str());
    }
    MpiPlace place;
    if (const char* error = communicator().join(pointers.data(), pointers.size(), &place)) {
        napi_create_string_utf8(env, error, NAPI_AUTO_LENGTH, &result);
        return result;
    }
    napi_create_object(env, &result);
    napi_create_int32(env, place.rank, &number);
    napi_set_named_property(env, result, "rank", number);
    napi_create_int32(env, place.size, &number);
    napi_set_named_property(env, result, "size", number);
    return result;
}

/** The numbers of a Float64Array. */
double* doubles(napi_env env, napi_value value, size_t* length) {
    napi_typedarray_type type;
    void* data = nullptr;
    if (napi_get_typedarray_info(env, value, &type, length, &data, nullptr, nullptr) != napi_ok ||
        type != napi_float64_array) {
        napi_throw_type_error(env, nullptr, "heed: an argument is not a Float64Array");
        return nullptr;
    }
    return (double*)data;
}

/** mpi_send(addresses, counts, root): queues a sum, or a copy from `root` when that is not -1 -> a ticket. */
napi_value mpi_send(napi_env env, napi_callback_info info) {
    napi_value values[3], result;
    size_t count = 3, number = 0, same = 0;
    double root = -1;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    const double* addresses = count == 3 ? doubles(env, values[0], &number) : nullptr;
    const double* counts = count == 3 ? doubles(env, values[1], &same) : nullptr;
    if (!addresses || !counts || number != same || napi_get_value_double(env, values[2], &root) != napi_ok) return nullptr;
    Work work = {root < 0 ? Work::kSum : Work::kBroadcast, {}, {}, (int)root, nullptr, 0, 0};
    for (size_t i = 0; i < number; i++) {
        work.addresses.push_back(reinterpret_cast<float*>((uintptr_t)addresses[i]));
        work.counts.push_back((size_t)counts[i]);
    }
    napi_create_double(env, (double)communicator().queue(std::move(work)), &result);
    return result;
}

/** mpi_sum_doubles(Float64Array): sums in place over all processes, and waits. */
napi_value mpi_sum_doubles(napi_env env, napi_callback_info info) {
    napi_value value;
    size_t count = 1, length = 0;
    napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
    double* numbers = doubles(env, value, &length);
    if (numbers) communicator().wait(communicator().queue({Work::kSumDoubles, {}, {}, 0, numbers, length, 0}));
    return nullptr;
}

/** mpi_wait(ticket): blocks until that work is done. */
napi_value mpi_wait(napi_env env, napi_callback_info info) {
    napi_value value;
    size_t count = 1;
    double ticket = 0;
    napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
    if (napi_get_value_double(env, value, &ticket) == napi_ok) communicator().wait((uint64_t)ticket);
    return nullptr;
}

/** mpi_times() -> { communicating, waiting }, in seconds. */
napi_value mpi_times(napi_env env, napi_callback_info) {
    const MpiTimes times = communicator().times();
    napi_value result, number;
    napi_create_object(env, &result);
    napi_create_double(env, times.communicating, &number);
    napi_set_named_property(env, result, "communicating", number);
    napi_create_double(env, times.waiting, &number);
    napi_set_named_property(env, result, "waiting", number);
    return result;
}

/** mpi_leave(): finishes what is queued and leaves the job. */
napi_value mpi_leave(napi_env, napi_callback_info) {
    communicator().leave();
    return nullptr;
}

}  // namespace

void define_mpi(napi_env env, napi_value exports) {
    const struct {
        const char* name;
        napi_callback function;
    } functions[] = {{"mpi_join", mpi_join}, {"mpi_send", mpi_send}, {"mpi_sum_doubles", mpi_sum_doubles},
                     {"mpi_wait", mpi_wait}, {"mpi_times", mpi_times}, {"mpi_leave", mpi_leave}};
    for (const auto& [name, function] : functions) {
        napi_value value;
        napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
        napi_set_named_property(env, exports, name, value);
    }
}

}  // namespace heed
