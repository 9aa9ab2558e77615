-- 2p XAS of 3d^n in D4h, many parameter sets in one process. Quanty reads `job`, a table that the
-- caller writes before this text: n_d, atomic_i, atomic_f, sets, emin, emax, n_points, gamma0,
-- threshold, step_at, and report ("broadened", "raw" or "states").
Verbosity(0)
local NF = 16
local up_p, dn_p = {1, 3, 5}, {0, 2, 4}
local up_d, dn_d = {7, 9, 11, 13, 15}, {6, 8, 10, 12, 14}

local F0dd = NewOperator("U", NF, up_d, dn_d, {1, 0, 0})
local F2dd = NewOperator("U", NF, up_d, dn_d, {0, 1, 0})
local F4dd = NewOperator("U", NF, up_d, dn_d, {0, 0, 1})
local F0pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {1, 0}, {0, 0})
local F2pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {0, 1}, {0, 0})
local G1pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {0, 0}, {1, 0})
local G3pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {0, 0}, {0, 1})
local ldots_d = NewOperator("ldots", NF, up_d, dn_d)
local ldots_p = NewOperator("ldots", NF, up_p, dn_p)
local function field(levels)  -- a1g, b1g, b2g, eg
  return NewOperator("CF", NF, up_d, dn_d, PotentialExpandedOnClm("D4h", 2, levels))
end
local Dq, Ds, Dt = field({6, 6, -4, -4}), field({-2, 2, 2, -1}), field({-6, -1, -1, 4})

local t = math.sqrt(1 / 2)
local Tx = NewOperator("CF", NF, up_d, dn_d, up_p, dn_p, {{1, -1, t}, {1, 1, -t}})
local Ty = NewOperator("CF", NF, up_d, dn_d, up_p, dn_p, {{1, -1, t * I}, {1, 1, t * I}})
local Tz = NewOperator("CF", NF, up_d, dn_d, up_p, dn_p, {{1, 0, 1}})

local function shell_energy(a, s1, s2, core)
  local f2, f4 = s1 * a["F2(3d,3d)"], s1 * a["F4(3d,3d)"]
  local H = (2 / 63 * f2 + 2 / 63 * f4) * F0dd + f2 * F2dd + f4 * F4dd + a["zeta(3d)"] * ldots_d
  if core then
    local g1, g3 = s2 * a["G1(2p,3d)"], s2 * a["G3(2p,3d)"]
    H = H + (1 / 15 * g1 + 3 / 70 * g3) * F0pd + s1 * a["F2(2p,3d)"] * F2pd
        + g1 * G1pd + g3 * G3pd + a["zeta(2p)"] * ldots_p
  end
  return H
end

local restrictions = {NF, 0, {"111111 0000000000", 6, 6}, {"000000 1111111111", job.n_d, job.n_d}}

local function thermal_states(H, kT)
  local dimension = 1  -- of d^n
  for i = 1, job.n_d do dimension = dimension * (10 - i + 1) / i end
  dimension = math.floor(dimension + 0.5)
  local n = 4
  while true do
    n = math.min(n, dimension)
    local psis = Eigensystem(H, restrictions, n)
    if type(psis) ~= "table" then psis = {psis} end
    local e0, Z, kept, weights, energies = nil, 0, {}, {}, {}
    for i, psi in ipairs(psis) do
      local e = Complex.Re(psi * H * psi)
      e0 = e0 or e
      local w = math.exp(-(e - e0) / kT)
      if w < job.threshold then break end
      kept[i], weights[i], energies[i], Z = psi, w, e, Z + w
    end
    if #kept < n or n == dimension then
      for i = 1, #weights do weights[i] = weights[i] / Z end
      return kept, weights, energies
    end
    n = n + 8
  end
end

for _, p in ipairs(job.sets) do
  local cf = p.Dq * Dq + p.Ds * Ds + p.Dt * Dt
  local Hi = Chop(shell_energy(job.atomic_i, p.S1, p.S2, false) + cf)
  local Hf = Chop(shell_energy(job.atomic_f, p.S1, p.S2, true) + cf)
  local kT = p.T * EnergyUnits.Kelvin.value
  local psis, weights, energies = thermal_states(Hi, kT)
  if job.report == "final" then
    local psis_f = Eigensystem(Hf, {NF, 0, {"111111 0000000000", 5, 5},
      {"000000 1111111111", job.n_d + 1, job.n_d + 1}}, 8)
    for _, psi in ipairs(psis_f) do io.write(string.format("%.10f 0\n", Complex.Re(psi * Hf * psi))) end
  elseif job.report == "states" then
    for i = 1, #psis do io.write(string.format("%.10f %.12f\n", energies[i], weights[i])) end
  else
    local operators = job.polarisation == "z" and {Tz} or {Tx, Ty, Tz}
    local G = CreateSpectra(Hf, operators, psis, {{"Emin", job.emin}, {"Emax", job.emax},
      {"NE", job.n_points - 1}, {"Gamma", job.gamma0}})
    local factors = {}
    for _ = 1, #operators do
      for i = 1, #psis do factors[#factors + 1] = weights[i] / #operators end
    end
    local S = Spectra.Sum(G, factors)
    if job.report == "broadened" then
      S.Broaden(p.sigma, {{job.step_at, p.Gamma1 - job.gamma0}, {job.step_at, p.Gamma2 - job.gamma0}})
    end
    S.Print({{"file", "spectrum.dat"}})
    for line in io.lines("spectrum.dat") do io.write(line, "\n") end
  end
  io.write("END OF SET\n")
end
