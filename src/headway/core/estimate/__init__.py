"""How long a job will go on, from the progress it has reported and from earlier runs of its kind.

`Estimator` is the door.  It is pure: seconds go in, seconds come out.  Method and constants are the result of
a comparison on recorded and synthetic jobs, of which ``bench/eta`` repeats the synthetic half.
"""

from headway.core.estimate.estimator import Estimator as Estimator
from headway.core.estimate.profile import Profile as Profile
