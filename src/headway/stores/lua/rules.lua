-- The life of a job: the rules of headway.core.transitions, decided where the records are.
-- Times are whole microseconds since 1970 by this server's clock, durations are seconds.  A decision has an
-- `outcome`; `head`, where there is one to keep; `rings`, where watchers should hear of it; and `restarts`.
-- What was told (`new`) becomes what is kept; what was kept (`old`) stays as it was: the two are compared.

local ENDED = {completed = true, failed = true, cancelled = true, stopped = true}
local PHASE = {pending = 0, running = 1, retrying = 2, completed = 3, failed = 3, cancelled = 3, stopped = 3}
local WAITING = 86400

local function micros(seconds)
    return math.floor(seconds * 1000000 + 0.5)
end

local function copy(head)
    local made = {}
    for name, value in pairs(head) do made[name] = value end
    return made
end

local function ended(head)
    return head.ended_at ~= nil or ENDED[head.status] ~= nil
end

local function phase(head)
    return ended(head) and 3 or PHASE[head.status] or 1
end

local function stalled(head, now)
    return phase(head) == 1 and head.seen_at ~= nil and now > head.seen_at + micros(head.lease)
end

-- With an expiry that only ever moves later.
local function kept(head, old)
    local live = (ended(head) and 0) or (phase(head) == 1 and head.lease) or WAITING
    local expires_at = (head.ended_at or head.seen_at or 0) + micros(head.retention + live)
    head.expires_at = math.max(expires_at, old and old.expires_at or 0)
    return head
end

local function versioned(head, old, now)
    head.version = math.max((old and old.version or 0) + 1, now)
    return kept(head, old)
end

local function stamped(new, old, now)
    new.created_at = new.created_at or now
    new.ended_at = ended(new) and now or nil
    new.seen_at = now
    return versioned(new, old, now)
end

local function renewed(new, old, now)
    new.version, new.ended_at, new.seen_at = old.version, old.ended_at, now
    return kept(new, old)
end

-- A request meets a job that nobody holds.  It stays `requested`: no claim may run the job.
local function cancelled_by_store(old, now)
    local head = copy(old)
    head.status, head.cancel, head.ended_at = 'cancelled', 'requested', now
    return {outcome = 'applied', head = versioned(head, old, now), rings = true}
end

-- Whose job it is was fixed when it was created; only a rerun is a new creation.
local function scope_of(old, new, retried)
    if retried then return old.scope or new.scope end
    return new.scope or old.scope
end

local function opened(new, old, now)
    new.step, new.ended_at, new.cancel, new.created_at = 0, nil, nil, now
    if old then
        local retried = not ended(old) or old.status == 'failed'
        new.scope = scope_of(old, new, retried)
        if not new.parent then new.parent, new.parent_attempt = old.parent, old.parent_attempt end
        if retried then new.created_at = old.created_at end
        if not ended(old) and old.cancel then new.cancel = 'requested' end
    end
    return {outcome = 'opened', head = stamped(new, old, now), rings = true, restarts = true}
end

local function running(new, attempt, now)
    new.attempt, new.status, new.started_at = attempt, 'running', now
    return new
end

local function waiting(new, attempt)
    new.attempt, new.status, new.run = attempt, 'pending', nil
    return new
end

local function claim(old, new, exclusive, now)
    if not old then return opened(running(new, 1, now), nil, now) end
    if old.run ~= nil and old.run == new.run then return {outcome = 'same', head = old} end
    if old.status == 'cancelled' and old.cancel == 'requested' then return {outcome = 'cancelled'} end
    if phase(old) == 0 then return opened(running(new, old.attempt, now), old, now) end
    if exclusive and phase(old) == 1 and not stalled(old, now) then return {outcome = 'held'} end
    return opened(running(new, old.attempt + 1, now), old, now)
end

-- Create (over "nothing"), reserve ("ended") or claim ("anything") an id.
local function open_job(old, new, over, exclusive, now)
    if over == 'anything' then return claim(old, new, exclusive, now) end
    if not old then return opened(waiting(new, 1), nil, now) end
    if over == 'nothing' then return {outcome = 'exists'} end
    if not (ended(old) or stalled(old, now)) then return {outcome = 'held'} end
    return opened(waiting(new, old.attempt + 1), old, now)
end

-- A sender of a higher attempt met a store that lost its record; somebody else may have claimed it since.
local function superseded(old, new)
    if new.attempt == old.attempt then return old.run ~= nil and old.run ~= new.run end
    if new.attempt < old.attempt then return true end
    return old.run ~= nil and old.started_at ~= nil and new.started_at ~= nil and old.started_at > new.started_at
end

-- Whether the one comes before the other in the order of (attempt, phase, step): -1, 0 or 1.
local function compare(one, other)
    if one.attempt ~= other.attempt then return one.attempt < other.attempt and -1 or 1 end
    local its, others = phase(one), phase(other)
    if its ~= others then return its < others and -1 or 1 end
    if one.step ~= other.step then return one.step < other.step and -1 or 1 end
    return 0
end

-- Why a report changes nothing; nil where it counts.
local function refused(old, new)
    if superseded(old, new) then return 'superseded' end
    if new.attempt == old.attempt and phase(old) >= 2 and phase(new) <= phase(old) then
        return new.status == old.status and 'same' or 'ended'
    end
    return compare(new, old) < 0 and 'late' or nil
end

-- What only the store may change is taken from the record.
local function inherit(new, old)
    if new.attempt == old.attempt then
        new.created_at, new.started_at = old.created_at, old.started_at or new.started_at
        new.scope, new.parent, new.parent_attempt = old.scope, old.parent, old.parent_attempt
    end
    local seen = old.cancel == 'requested' and new.cancel == 'seen'
    new.cancel = seen and 'seen' or old.cancel
end

-- A worker's (or, before anybody has claimed it, its creator's) word about its own attempt.
local function report(old, new, now)
    if not old then return {outcome = 'rebuilt', head = stamped(new, nil, now), rings = true} end
    local why = refused(old, new)
    if why then return {outcome = why} end
    inherit(new, old)
    if new.status == 'retrying' and new.cancel then
        return ended(old) and {outcome = 'ended'} or cancelled_by_store(old, now)
    end
    if compare(new, old) == 0 and new.cancel == old.cancel and not stalled(old, now) then
        return {outcome = 'heartbeat', head = renewed(new, old, now)}
    end
    return {outcome = 'applied', head = stamped(new, old, now), rings = true}
end

-- An end (or a retry) told by somebody who is not the worker: counts are kept, the first end wins.
local function end_job(old, attempt, status, now)
    if not old or attempt > old.attempt then return {outcome = 'missing'} end
    if attempt < old.attempt then return {outcome = 'superseded'} end
    if PHASE[status] <= phase(old) and phase(old) >= 2 then
        return {outcome = status == old.status and 'same' or 'ended'}
    end
    if status == 'retrying' and old.cancel then return cancelled_by_store(old, now) end
    local head = copy(old)
    head.status, head.seen_at = status, now
    head.ended_at = ENDED[status] and now or nil
    return {outcome = 'applied', head = versioned(head, old, now), rings = true}
end

local function request_cancel(old, now)
    if not old then return {outcome = 'missing'} end
    if ended(old) then return {outcome = 'ended'} end
    if not old.cancellable then return {outcome = 'no return'} end
    if phase(old) ~= 1 or stalled(old, now) then return cancelled_by_store(old, now) end
    if old.cancel then return {outcome = 'same'} end
    local head = copy(old)
    head.cancel = 'requested'
    return {outcome = 'applied', head = versioned(head, old, now), rings = true}
end

-- Time passes: `dropped` past its retention, cancelled where a request met a worker that died.
local function sweep(old, now)
    if old.expires_at and now > old.expires_at then return {outcome = 'dropped', rings = true} end
    if old.cancel and old.cancellable and stalled(old, now) then return cancelled_by_store(old, now) end
    return {outcome = 'same'}
end

local function comes_before(part, other)
    local rank, others = ENDED[part.status] and 1 or 0, ENDED[other.status] and 1 or 0
    if part.run ~= other.run then return part.run < other.run end
    if rank ~= others then return rank < others end
    return part.step < other.step
end

-- A part as it stands after a report, and whether that changed it: counts and shares by maximum, the rest
-- from the newer report.
local function merge_part(old, new)
    if not old then return copy(new), true end
    local merged = copy(comes_before(new, old) and old or new)
    merged.count, merged.share = math.max(old.count, new.count), math.max(old.share, new.share)
    for _, name in ipairs({'run', 'step', 'count', 'weight', 'share', 'status', 'stage'}) do
        if merged[name] ~= old[name] then return merged, true end
    end
    return merged, false
end

-- Whether a part belongs to its job's present attempt; if so it renews the job's lease.
local function part_of(old, part, news, now)
    if not old then return {outcome = 'missing'} end
    if old.attempt ~= part.attempt then return {outcome = 'superseded'} end
    if ended(old) then return {outcome = 'ended'} end
    local head = copy(old)
    head.seen_at = now
    if news or stalled(old, now) then
        return {outcome = 'applied', head = versioned(head, old, now), rings = true}
    end
    return {outcome = 'heartbeat', head = kept(head, old)}
end
