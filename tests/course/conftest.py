import assignments
import course
import exercises
import pytest

EXERCISES = exercises.all_exercises()
CHECKED = {label: e for label, e in EXERCISES.items() if e.call}
WEEKS = course.plan()["weeks"]


@pytest.fixture(scope="session")
def texts(html):
    """What the built book says of each exercise, equation and figure."""
    return assignments.texts()


@pytest.fixture(scope="session")
def course_built(html):
    """What `make course` made."""
    if not (course.OUT / "slides" / "index.html").exists():
        pytest.fail("the course is not built: run `make course` first")
    return course.OUT
