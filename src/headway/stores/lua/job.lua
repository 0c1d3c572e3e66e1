-- All that concerns a record.  KEYS: of each call the job, its parts.  Each has an answer, if only an error.
-- It is packed: outcome, now, head, the version that came with its details, whether it rang, its place (in a
-- Cluster: to be given by another call), its scope.  Where a job was to be opened the record before follows, and the
-- facts where they are not those that were told.

local NOW = clock()

local MOST = 10000               -- parts of one job
local MARGIN = 3600 * 1000       -- milliseconds for which a record that nobody swept stays
local AGAIN = 60 * 1000000       -- microseconds after which a job's place is given again
local LOOK = 300 * 1000000       -- microseconds after which the sweep of a Cluster looks after a live job
local RECORD = {'head', 'totals', 'facts', 'details', 'fresh', 'meta', 'told'}

-- The job at hand, made anew for each call:
--   key, parts      where it is                 verb, asked, id   what is asked of it
--   before, head    as it was, and as it is     totals            of its parts
--   record          all that was kept           placed            when it was given its place
--   details_version                             rang              whether watchers are to hear of it
--   changed         its fields, false where they go: written once, at the end
local job

-- A number that is too long for Lua's own text of it.
local function text(number)
    return string.format('%.0f', number)
end

local function load_record()
    local opens = job.verb == 'open'
    local found = redis.call('HMGET', job.key, 'placed', 'details_version', unpack(RECORD, 1, opens and #RECORD or 2))
    job.placed, job.details_version = tonumber(found[1] or 0), found[2]
    job.before = found[3] and cmsgpack.unpack(found[3])
    job.totals = found[4] and cmsgpack.unpack(found[4])
    job.record = opens and {job.before, job.totals, unpack(found, 5)}
    job.head = job.before or nil
    job.rang, job.changed = false, {}
end

local function reads(head)
    return PHASE[head.status] and head.status or (ended(head) and 'stopped') or 'running'
end

local function due(head)
    if ended(head) then return head.expires_at end
    if head.cancel and phase(head) == 1 and head.cancellable then return head.seen_at + micros(head.lease) end
    return CLUSTERED and math.min(head.expires_at, NOW + LOOK) or head.expires_at
end

local function place(head)
    return {
        created_at = head.created_at, status = reads(head), scope = head.scope, parent = head.parent,
        version = head.version, due = due(head),
    }
end

local function moved()
    local before, head = job.before, job.head
    if not before or NOW > job.placed + AGAIN then return true end
    for _, name in ipairs({'created_at', 'status', 'scope', 'parent', 'cancel', 'cancellable', 'ended_at'}) do
        if before[name] ~= head[name] then return true end
    end
    return false
end

local function ring(scope)
    if CLUSTERED then
        redis.call('SPUBLISH', job.key, job.id)
        return
    end
    redis.call('PUBLISH', job.key, job.id)
    if scope then redis.call('PUBLISH', PREFIX .. ':scope:' .. scope, job.id) end
    redis.call('PUBLISH', PREFIX .. ':all', job.id)
end

local function write_changes()
    local fields, gone = {}, {}
    for name, value in pairs(job.changed) do
        if value then
            fields[#fields + 1], fields[#fields + 2] = name, value
        else
            gone[#gone + 1] = name
        end
    end
    if fields[1] then redis.call('HSET', job.key, unpack(fields)) end
    if gone[1] then redis.call('HDEL', job.key, unpack(gone)) end
    job.changed = {}
end

-- Keep the head and what goes with it; its place, where a Cluster must be told of it.
local function save(placing)
    local head = job.head
    local until_then = text(math.ceil(head.expires_at / 1000) + MARGIN)
    job.changed.head = cmsgpack.pack(head)
    if placing then job.changed.placed = text(NOW) end
    write_changes()
    redis.call('PEXPIREAT', job.key, until_then)
    if job.totals then redis.call('PEXPIREAT', job.parts, until_then) end
    if not placing then return false end
    if CLUSTERED then return place(head) end
    put(job.id, place(head))
    return false
end

local function drop()
    redis.call('DEL', job.key, job.parts)
    ring(job.head.scope)
    if not CLUSTERED then put(job.id, nil) end
end

-- The server says that its memory is full to a script's first write only, and never to one that deletes.
local function drop_parts()
    if job.totals or not job.before then
        write_changes()
        redis.call('DEL', job.parts)
    end
    job.totals, job.changed.totals = nil, false
end

local function date_details()
    job.details_version = text(job.head.version)
    job.changed.details_version = job.details_version
end

-- Messages and meta stay with a new attempt, its own meta counts; error and result go when it has begun.
local function details_of_next_attempt(record)
    if job.details_version then
        job.changed.meta = record.meta
        if phase(job.head) > 0 then job.changed.fresh = 1 end
        date_details()
    elseif record.details then
        job.changed.details = record.details
        date_details()
    end
end

local function keep_details(record, restarts)
    if restarts then
        details_of_next_attempt(record)
    elseif record.details then
        job.changed.details, job.changed.fresh, job.changed.meta = record.details, false, false
        date_details()
    end
end

-- Keep what was decided, but for the head, which is saved at the end.
local function apply(decision, record, told)
    job.rang = job.rang or decision.rings or false
    if not decision.head or decision.outcome == 'same' then return end
    local risen = job.head and decision.head.attempt > job.head.attempt
    job.head = decision.head
    if record then
        job.changed.facts = record.facts
        keep_details(record, decision.restarts)
    end
    if told then job.changed.told = told end
    if decision.restarts or risen or decision.outcome == 'rebuilt' then drop_parts() end
    if decision.restarts and phase(job.head) > 0 then job.changed.told = false end
end

local function nothing()
    return {parts = 0, counts = {}, hands = {}, weight = 0, done = 0, children = 0, ended = 0, failed = 0}
end

local function tally(part, sign)
    local totals = job.totals
    totals.parts = totals.parts + sign
    if part.weight then
        totals.children = totals.children + sign
        totals.weight = totals.weight + sign * part.weight
        totals.done = totals.done + sign * part.weight * part.share
        totals.ended = totals.ended + (ENDED[part.status] and sign or 0)
        totals.failed = totals.failed + (part.status == 'failed' and sign or 0)
        return
    end
    local stage = part.stage and ':' .. part.stage or ''
    local hands = (totals.hands[stage] or 0) + sign
    totals.hands[stage] = hands > 0 and hands or nil
    totals.counts[stage] = hands > 0 and (totals.counts[stage] or 0) + sign * part.count or nil
end

-- A part that only got on adds what it gained, so that no rounding can take anything back.
local function add(known, part)
    if not known then return tally(part, 1) end
    if known.weight == part.weight and known.stage == part.stage and known.status == part.status then
        local totals = job.totals
        if part.weight then
            totals.done = totals.done + part.weight * (part.share - known.share)
        else
            local stage = part.stage and ':' .. part.stage or ''
            totals.counts[stage] = totals.counts[stage] + (part.count - known.count)
        end
        return
    end
    tally(known, -1)
    tally(part, 1)
end

-- What the parts add up to; counted anew where the server has evicted some key.
local function count_parts()
    job.totals = job.totals or nothing()
    if job.totals.parts == redis.call('HLEN', job.parts) then return end
    job.totals = nothing()
    for _, packed in ipairs(redis.call('HVALS', job.parts)) do tally(cmsgpack.unpack(packed), 1) end
end

-- The last decision, or the last that counts as news.
local function take_parts(parts)
    local said
    if job.head then count_parts() end
    for _, part in ipairs(parts) do
        local packed = redis.call('HGET', job.parts, part.key)
        local known = packed and cmsgpack.unpack(packed)
        local merged, news = merge_part(known, part)
        local decision = part_of(job.head, part, news, NOW)
        if decision.head and not known and job.totals.parts >= MOST then decision = {outcome = 'full'} end
        if not (said and said.rings) then said = decision end
        if decision.head then
            apply(decision)
            if news then
                merged.job, merged.key = nil, nil
                add(known, merged)
                redis.call('HSET', job.parts, part.key, cmsgpack.pack(merged))
            end
        end
    end
    if job.totals then job.changed.totals = cmsgpack.pack(job.totals) end
    return said.outcome
end

local function write(asked)
    local outcome
    for _, record in ipairs(asked.records) do
        local decision = report(job.head, record.head, NOW)
        apply(decision, record)
        outcome = decision.outcome
    end
    local said = asked.parts[1] and take_parts(asked.parts)
    return outcome or said or (job.head and 'heard' or 'missing')
end

local function decide(decision, record, told)
    apply(decision, record, told)
    return decision.outcome
end

local function swept()
    local decision = sweep(job.head, NOW)
    if decision.outcome ~= 'dropped' then return decide(decision) end
    drop()
    return 'dropped'
end

local function forgotten()
    if not (ended(job.head) or stalled(job.head, NOW)) then return 'held' end
    drop()
    return 'dropped'
end

local function open(asked)
    return decide(open_job(job.head, asked.head, asked.over, asked.exclusive, NOW), asked)
end

local VERBS = {
    write = write,
    open = open,
    ['end'] = function(asked) return decide(end_job(job.head, asked.attempt, asked.status, NOW), nil, asked.told) end,
    request_cancel = function() return decide(request_cancel(job.head, NOW)) end,
    sweep = function() return job.head and swept() or 'missing' end,
    forget = function() return job.head and forgotten() or 'missing' end,
}

-- Of the head, what whoever asked does not know.
local function told_of_head()
    local head = job.head
    if not head or job.record then return head or false end
    return {
        version = head.version, attempt = head.attempt, run = head.run, status = head.status, cancel = head.cancel,
    }
end

local function answer(outcome, rings, placing)
    return cmsgpack.pack({
        outcome, text(NOW), outcome ~= 'dropped' and told_of_head(), job.details_version or '0', rings, placing,
        job.head and job.head.scope or false, job.record, job.record and outcome == 'same' and job.record[3],
    })
end

local function answer_to_one()
    if job.verb == 'read' then
        return {'read', text(NOW), redis.call('HMGET', job.key, unpack(RECORD, 1, job.asked.brief and 3 or #RECORD))}
    end
    load_record()
    local outcome = VERBS[job.verb](job.asked)
    if outcome == 'dropped' or not job.head then
        if not CLUSTERED and job.verb == 'sweep' then put(job.id, nil) end
        job.details_version = nil
        return answer(outcome, outcome == 'dropped', false)
    end
    local placing = false
    if job.head ~= job.before then
        placing = save(moved())
    else
        write_changes()
        if job.verb == 'sweep' then
            if CLUSTERED then placing = place(job.head) else put(job.id, place(job.head)) end
        end
    end
    if job.rang then ring(job.head.scope) end
    return answer(outcome, job.rang, placing)
end

local answers = {}
for at, call in ipairs(CALLS) do
    local verb, asked, id = unpack(call)
    job = {key = KEYS[2 * at - 1], parts = KEYS[2 * at], verb = verb, asked = asked, id = id}
    local answered, said = pcall(answer_to_one)
    answers[at] = answered and said or redis.error_reply(type(said) == 'table' and said.err or tostring(said))
end
return answers
