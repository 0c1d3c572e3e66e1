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

-- The record at hand: where it is, what is asked of it, what is kept of it, and what that becomes.
local JOB, PARTS, VERB, ASKED, ID
local placed, details_version, before, totals, record, head, rang
local changed -- its fields, false where they go: written once, at the end

-- A number that is too long for Lua's own text of it.
local function text(number)
    return string.format('%.0f', number)
end

local function load_record()
    local opens = VERB == 'open'
    local found = redis.call('HMGET', JOB, 'placed', 'details_version', unpack(RECORD, 1, opens and #RECORD or 2))
    placed, details_version = tonumber(found[1] or 0), found[2]
    before = found[3] and cmsgpack.unpack(found[3])
    totals = found[4] and cmsgpack.unpack(found[4])
    record = opens and {before, totals, unpack(found, 5)}
    head = before or nil
    rang, changed = false, {}
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
    if not before or NOW > placed + AGAIN then return true end
    for _, name in ipairs({'created_at', 'status', 'scope', 'parent', 'cancel', 'cancellable', 'ended_at'}) do
        if before[name] ~= head[name] then return true end
    end
    return false
end

local function ring(scope)
    if CLUSTERED then
        redis.call('SPUBLISH', JOB, ID)
        return
    end
    redis.call('PUBLISH', JOB, ID)
    if scope then redis.call('PUBLISH', PREFIX .. ':scope:' .. scope, ID) end
    redis.call('PUBLISH', PREFIX .. ':all', ID)
end

local function write_changes()
    local fields, gone = {}, {}
    for name, value in pairs(changed) do
        if value then
            fields[#fields + 1], fields[#fields + 2] = name, value
        else
            gone[#gone + 1] = name
        end
    end
    if fields[1] then redis.call('HSET', JOB, unpack(fields)) end
    if gone[1] then redis.call('HDEL', JOB, unpack(gone)) end
    changed = {}
end

-- Keep the head and what goes with it; its place, where a Cluster must be told of it.
local function save(placing)
    local until_then = text(math.ceil(head.expires_at / 1000) + MARGIN)
    changed.head = cmsgpack.pack(head)
    if placing then changed.placed = text(NOW) end
    write_changes()
    redis.call('PEXPIREAT', JOB, until_then)
    if totals then redis.call('PEXPIREAT', PARTS, until_then) end
    if not placing then return false end
    if CLUSTERED then return place(head) end
    put(ID, place(head))
    return false
end

local function drop()
    redis.call('DEL', JOB, PARTS)
    ring(head.scope)
    if not CLUSTERED then put(ID, nil) end
end

-- The server says that its memory is full to a script's first write only, and never to one that deletes.
local function drop_parts()
    if totals or not before then
        write_changes()
        redis.call('DEL', PARTS)
    end
    totals, changed.totals = nil, false
end

local function date_details()
    details_version = text(head.version)
    changed.details_version = details_version
end

-- Messages and meta stay with a new attempt, its own meta counts; error and result go when it has begun.
local function details_of_next_attempt(record)
    if details_version then
        changed.meta = record.meta
        if phase(head) > 0 then changed.fresh = 1 end
        date_details()
    elseif record.details then
        changed.details = record.details
        date_details()
    end
end

local function keep_details(record, restarts)
    if restarts then
        details_of_next_attempt(record)
    elseif record.details then
        changed.details, changed.fresh, changed.meta = record.details, false, false
        date_details()
    end
end

-- Keep what was decided, but for the head, which is saved at the end.
local function apply(decision, record, told)
    rang = rang or decision.rings or false
    if not decision.head or decision.outcome == 'same' then return end
    local risen = head and decision.head.attempt > head.attempt
    head = decision.head
    if record then
        changed.facts = record.facts
        keep_details(record, decision.restarts)
    end
    if told then changed.told = told end
    if decision.restarts or risen or decision.outcome == 'rebuilt' then drop_parts() end
    if decision.restarts and phase(head) > 0 then changed.told = false end
end

local function nothing()
    return {parts = 0, counts = {}, hands = {}, weight = 0, done = 0, children = 0, ended = 0, failed = 0}
end

local function tally(part, sign)
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
    totals = totals or nothing()
    if totals.parts == redis.call('HLEN', PARTS) then return end
    totals = nothing()
    for _, packed in ipairs(redis.call('HVALS', PARTS)) do tally(cmsgpack.unpack(packed), 1) end
end

-- The last decision, or the last that counts as news.
local function take_parts(parts)
    local said
    if head then count_parts() end
    for _, part in ipairs(parts) do
        local packed = redis.call('HGET', PARTS, part.key)
        local known = packed and cmsgpack.unpack(packed)
        local merged, news = merge_part(known, part)
        local decision = part_of(head, part, news, NOW)
        if decision.head and not known and totals.parts >= MOST then decision = {outcome = 'full'} end
        if not (said and said.rings) then said = decision end
        if decision.head then
            apply(decision)
            if news then
                merged.job, merged.key = nil, nil
                add(known, merged)
                redis.call('HSET', PARTS, part.key, cmsgpack.pack(merged))
            end
        end
    end
    if totals then changed.totals = cmsgpack.pack(totals) end
    return said.outcome
end

local function write()
    local outcome
    for _, record in ipairs(ASKED.records) do
        local decision = report(head, record.head, NOW)
        apply(decision, record)
        outcome = decision.outcome
    end
    local said = ASKED.parts[1] and take_parts(ASKED.parts)
    return outcome or said or (head and 'heard' or 'missing')
end

local function decide(decision, record, told)
    apply(decision, record, told)
    return decision.outcome
end

local function swept()
    local decision = sweep(head, NOW)
    if decision.outcome ~= 'dropped' then return decide(decision) end
    drop()
    return 'dropped'
end

local function forgotten()
    if not (ended(head) or stalled(head, NOW)) then return 'held' end
    drop()
    return 'dropped'
end

local VERBS = {
    write = write,
    open = function() return decide(open_job(head, ASKED.head, ASKED.over, ASKED.exclusive, NOW), ASKED) end,
    ['end'] = function() return decide(end_job(head, ASKED.attempt, ASKED.status, NOW), nil, ASKED.told) end,
    request_cancel = function() return decide(request_cancel(head, NOW)) end,
    sweep = function() return head and swept() or 'missing' end,
    forget = function() return head and forgotten() or 'missing' end,
}

-- Of the head, what whoever asked does not know.
local function told_of_head()
    if not head or record then return head or false end
    return {
        version = head.version, attempt = head.attempt, run = head.run, status = head.status, cancel = head.cancel,
    }
end

local function answer(outcome, rings, placing)
    return cmsgpack.pack({
        outcome, text(NOW), outcome ~= 'dropped' and told_of_head(), details_version or '0', rings, placing,
        head and head.scope or false, record, record and outcome == 'same' and record[3],
    })
end

local function answer_to_one()
    if VERB == 'read' then
        return {'read', text(NOW), redis.call('HMGET', JOB, unpack(RECORD, 1, ASKED.brief and 3 or #RECORD))}
    end
    load_record()
    local outcome = VERBS[VERB]()
    if outcome == 'dropped' or not head then
        if not CLUSTERED and VERB == 'sweep' then put(ID, nil) end
        details_version = nil
        return answer(outcome, outcome == 'dropped', false)
    end
    local placing = false
    if head ~= before then
        placing = save(moved())
    else
        write_changes()
        if VERB == 'sweep' then
            if CLUSTERED then placing = place(head) else put(ID, place(head)) end
        end
    end
    if rang then ring(head.scope) end
    return answer(outcome, rang, placing)
end

local answers = {}
for at, call in ipairs(CALLS) do
    JOB, PARTS = KEYS[2 * at - 1], KEYS[2 * at]
    VERB, ASKED, ID = unpack(call)
    local answered, said = pcall(answer_to_one)
    answers[at] = answered and said or redis.error_reply(type(said) == 'table' and said.err or tostring(said))
end
return answers
